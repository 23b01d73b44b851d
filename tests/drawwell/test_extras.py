"""Drawn images in Hugging Face datasets, where they are installed."""

import sys
from pathlib import Path

import numpy as np
import pytest

import drawwell
from drawwell import DrawwellError, Engine
from tests import graphs

CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graphs.write_labelled(tmp_path_factory.mktemp("labelled") / "labelled.onnx", *CLASSES)


@pytest.fixture(scope="module")
def labels(path: Path) -> list[int]:
    """Of the images 0 to 49 of seed 7, whose pixels are their label."""
    with Engine(path, threads=1) as engine:
        batch = engine.generate(7, 50)
    assert batch.labels is not None
    found: list[int] = batch.labels.tolist()
    return found


@pytest.mark.filterwarnings("ignore")
def test_hugging_face_has_images_and_class_labels(
    path: Path, labels: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    from datasets.distributed import split_dataset_by_node

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with drawwell.open(path, threads=1) as generator:
        whole = drawwell.datasets.hugging_face(generator, seed=7, size=50, request_images=16)
        stream = drawwell.datasets.hugging_face(generator, seed=7, size=50, streaming=True, request_images=16)
        halves = [split_dataset_by_node(stream, rank, 2) for rank in range(2)]
        for rows in (whole, stream, [row for half in halves for row in half]):
            seen = [(row["label"], int(np.asarray(row["image"]).max())) for row in rows]
            assert sorted(seen) == sorted(zip(labels, labels, strict=True))
    assert [row["label"] for row in whole] == labels
    for kind in (whole, stream):
        assert kind.features is not None
        assert kind.features["label"] == datasets.ClassLabel(names=list(CLASSES))
        assert kind.features["image"] == datasets.Image()


def test_a_missing_package_is_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DrawwellError, match="needs the package datasets"):
        drawwell.datasets.hugging_face(path, 7, 3)
