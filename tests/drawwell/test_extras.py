"""Drawn images in Hugging Face datasets and in Ray Data, where these are installed."""

import io
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import drawwell
import drawwell.ray
from drawwell import DrawwellError, Engine, RequestError
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
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with drawwell.open(path, threads=1) as generator:
        whole = drawwell.datasets.hugging_face(generator, seed=7, size=50, request_images=16)
        stream = drawwell.datasets.hugging_face(generator, seed=7, size=50, streaming=True, request_images=16)
        halves = [datasets.distributed.split_dataset_by_node(stream, rank, 2) for rank in range(2)]
        for rows in (whole, stream, [row for half in halves for row in half]):
            seen = [(row["label"], int(np.asarray(row["image"]).max())) for row in rows]
            assert sorted(seen) == sorted(zip(labels, labels, strict=True))
    assert [row["label"] for row in whole] == labels
    for kind in (whole, stream):
        assert kind.features is not None
        assert kind.features["label"] == datasets.ClassLabel(names=list(CLASSES))
        assert kind.features["image"] == datasets.Image()


@pytest.mark.filterwarnings("ignore")
def test_ray_writes_every_address_once_though_a_process_is_killed(
    path: Path, labels: list[int], tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error", object_store_memory=100 * 2**20)
    try:
        rows = drawwell.ray.read(path, seed=7, count=50, block_images=5)
        killed = tmp_path / "killed"
        rows.map_batches(killing(killed), batch_size=5).write_parquet(str(tmp_path / "parquet"))
        assert killed.exists()
        kept = ray.data.read_parquet(str(tmp_path / "parquet")).take_all()
        assert sorted(row["index"] for row in kept) == list(range(50))
        assert all(labels[row["index"]] == row["label"] == row["image"].max() for row in kept)
        shards = drawwell.ray.read(path, seed=7, count=50, block_images=5, webdataset=True)
        shards.write_webdataset(str(tmp_path / "shards"))
        assert sorted(keys_of(tmp_path / "shards")) == sorted(f"7-{index}" for index in range(50))
    finally:
        ray.shutdown()


def killing(once: Path) -> Any:
    """Kill the process of Ray that has the image 20, the first time."""

    def pass_on(columns: dict[str, Any]) -> dict[str, Any]:
        import os
        import signal

        if 20 in columns["index"] and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return columns

    return pass_on


def keys_of(folder: Path) -> list[str]:
    """The keys of shards; each has a png and a class."""
    keys = []
    for file in folder.glob("*.tar"):
        with tarfile.open(fileobj=io.BytesIO(file.read_bytes())) as shard:
            names = shard.getnames()
        stems = {name.partition(".")[0] for name in names}
        assert sorted(names) == sorted(f"{stem}.{ending}" for stem in stems for ending in ("cls", "png"))
        keys += sorted(stems)
    return keys


@pytest.mark.parametrize("package", ["datasets", "ray"])
def test_a_missing_package_is_a_sentence(path: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    call = drawwell.ray.read if package == "ray" else drawwell.datasets.hugging_face
    with pytest.raises(DrawwellError, match=f"needs the package {package}"):
        call(path, 7, 3)


def test_a_wrong_size_of_a_block_is_a_sentence(path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(RequestError, match="block_images must be at least 1"):
        drawwell.ray.read(path, seed=7, count=3, block_images=0)
