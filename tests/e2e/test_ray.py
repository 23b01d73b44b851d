"""A data set of Ray on a real local Ray of two processes, which are killed in the middle."""

import contextlib
import io
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import webdataset
from PIL import Image

import drawwell
from drawwell import DrawwellError, RequestError
from tests import graphs, scripted
from tests.conftest import Server

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")

SEED, BLOCK = 7, 64
CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two processes. The folder is short because the sockets in it have a limit of 107 bytes."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000, _temp_dir=folder
        )
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
        ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator whose images are their labels."""
    return graphs.write_labelled(tmp_path_factory.mktemp("labelled") / "labelled.onnx", *CLASSES)


def drawers() -> list[psutil.Process]:
    """Ray's processes that draw, which name themselves after what they do."""
    ours = psutil.Process().children(recursive=True)
    return [process for process in ours if process.is_running() and "MapWorker" in "".join(process.cmdline()[:1])]


@pytest.mark.usefixtures("cluster")
def test_every_address_comes_once_whatever_is_killed() -> None:
    """Each third reply waits until a process of Ray is killed, three times."""
    size, killed = 20 * BLOCK, set[int]()

    def kill_and_answer(handler: scripted.Handler, asked: dict[str, Any]) -> None:
        if len(server.asked) % 3 == 0 and len(killed) < 3 and (drawing := drawers()):
            drawing[0].kill()
            killed.add(drawing[0].pid)
        with contextlib.suppress(ConnectionError):  # of the process that is gone
            scripted.right(handler, asked)

    with scripted.serving() as server:
        dataset = drawwell.datasets.ray_dataset(server.url, SEED, size, start=40, block_images=BLOCK)
        server.script = [kill_and_answer]
        rows = dataset.take_all()
    assert len(killed) == 3
    assert sorted(row["index"] for row in rows) == list(range(40, 40 + size))
    assert all((row["image"] == row["index"] % 256).all() for row in rows)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("servers", [1, 2])
def test_a_server_draws_for_it_or_several(server: Server, tiny_generator: Path, servers: int) -> None:
    target = server.url if servers == 1 else [server.url, f"{server.url}/"]
    rows = drawwell.datasets.ray_dataset(target, SEED, 3 * BLOCK, block_images=BLOCK).take_all()
    assert sorted(row["index"] for row in rows) == list(range(3 * BLOCK))
    with drawwell.open(tiny_generator) as engine:
        images = engine.generate(SEED, 3 * BLOCK).images
    assert all((row["image"] == images[row["index"]]).all() for row in rows)


@pytest.mark.usefixtures("cluster")
def test_parquet_files_have_images_indices_and_labels(labelled: Path, tmp_path: Path) -> None:
    drawwell.datasets.ray_dataset(labelled, SEED, 3 * BLOCK, block_images=BLOCK).write_parquet(str(tmp_path))
    rows = sorted(ray.data.read_parquet(str(tmp_path)).take_all(), key=lambda row: row["index"])
    assert [row["index"] for row in rows] == list(range(3 * BLOCK))
    check(labelled, [row["image"] for row in rows], [row["label"] for row in rows])


@pytest.mark.usefixtures("cluster")
def test_shards_are_those_of_webdataset(labelled: Path, tmp_path: Path) -> None:
    dataset = drawwell.datasets.ray_dataset(labelled, SEED, 2 * BLOCK, block_images=BLOCK, webdataset=True)
    dataset.write_webdataset(str(tmp_path), encoder=None)
    shards = webdataset.WebDataset(sorted(map(str, tmp_path.glob("*.tar"))), shardshuffle=False)
    samples = sorted(shards, key=lambda sample: int(sample["__key__"].removeprefix(f"{SEED}-")))
    assert [sample["__key__"] for sample in samples] == [f"{SEED}-{index}" for index in range(2 * BLOCK)]
    pictures = [np.asarray(Image.open(io.BytesIO(sample["png"])))[..., None] for sample in samples]
    check(labelled, pictures, [int(sample["cls"]) for sample in samples])


@pytest.mark.usefixtures("cluster")
def test_grey_images_become_png_files_as_the_guide_says(labelled: Path, tmp_path: Path) -> None:
    images = drawwell.datasets.ray_dataset(labelled, SEED, 2 * BLOCK, block_images=BLOCK)
    grey = images.map_batches(lambda batch: {"image": batch["image"][..., 0]})
    grey.write_images(str(tmp_path), "image")
    pictures = [np.asarray(Image.open(file))[..., None] for file in tmp_path.glob("*.png")]
    with drawwell.open(labelled) as engine:
        wanted = engine.generate(SEED, 2 * BLOCK).images
    assert Counter(image.tobytes() for image in pictures) == Counter(image.tobytes() for image in wanted)
    assert {image.shape for image in pictures} == {graphs.SHAPE}


def check(generator: Path, images: list[Any], labels: list[int]) -> None:
    with drawwell.open(generator) as engine:
        wanted = engine.generate(SEED, len(images))
    assert wanted.labels is not None
    np.testing.assert_array_equal(np.stack(images), wanted.images)
    assert labels == wanted.labels.tolist()


def test_wrong_arguments_are_found_at_once(labelled: Path) -> None:
    with pytest.raises(RequestError, match="block_images must be at least 1"):
        drawwell.datasets.ray_dataset(labelled, SEED, 3, block_images=0)
    with pytest.raises(RequestError, match="give seed and size"):
        drawwell.datasets.ray_dataset(labelled)


def test_a_missing_package_is_a_sentence(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DrawwellError, match=r"needs the package ray.*\[ray\]"):
        drawwell.datasets.ray_dataset(labelled, SEED, 3)
