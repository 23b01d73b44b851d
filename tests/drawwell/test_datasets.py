"""A torch dataset over generated images."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset

import drawwell
from drawwell.datasets import TorchDataset
from drawwell.engine.engine import Engine
from drawwell.errors import DrawwellError, RequestError
from drawwell.generator import Batch
from tests import graphs
from tests.conftest import Server


@pytest.fixture(scope="module")
def engine(tiny_generator: Path) -> Engine:
    return Engine(tiny_generator)


class Counting:
    """A generator that counts its calls."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.card = engine, engine.card
        self.calls: list[int] = []

    def generate(self, seed: int, *, indices: Any, **others: Any) -> Batch:
        self.calls.append(len(indices))
        return self._engine.generate(seed, indices=indices, **others)


def test_an_item_is_the_image_of_its_address(engine: Engine) -> None:
    dataset = drawwell.datasets.TorchDataset(engine, seed=7, size=100, start=40)
    assert len(dataset) == 100
    image, label = dataset[3]
    assert (image.dtype, tuple(image.shape), label.dtype, int(label)) == (torch.uint8, (1, 28, 28), torch.int64, -1)
    wanted = engine.generate(7, 1, start=43).images[0].transpose(2, 0, 1)
    np.testing.assert_array_equal(image.numpy(), wanted)
    assert torch.equal(dataset[-1][0], dataset[99][0])


def test_a_position_out_of_range_is_an_index_error(engine: Engine) -> None:
    with pytest.raises(IndexError):
        TorchDataset(engine, seed=7, size=10)[10]


@pytest.mark.parametrize(("seed", "size", "start"), [(-1, 10, 0), (0, 0, 0), (0, 2, 2**63 - 1)])
def test_a_wrong_range_is_found_at_once(engine: Engine, seed: int, size: int, start: int) -> None:
    with pytest.raises(RequestError):
        TorchDataset(engine, seed, size, start)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_is_one_request(engine: Engine, shuffle: bool) -> None:
    counting = Counting(engine)
    dataset = TorchDataset(counting, seed=7, size=100)  # type: ignore[arg-type]
    counting.calls.clear()
    loaded = [images for images, _ in DataLoader(dataset, batch_size=32, shuffle=shuffle)]
    assert counting.calls == [32, 32, 32, 4]
    assert torch.cat(loaded).sum() == torch.from_numpy(engine.generate(7, 100).images).sum()


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_draw_the_same_images(engine: Engine, context: str) -> None:
    """The engine has already drawn here, so a forked session would hang on threads that did not survive."""
    wanted = torch.from_numpy(engine.generate(7, 48).images).permute(0, 3, 1, 2)
    dataset = TorchDataset(engine, seed=7, size=48)
    loader = DataLoader(dataset, batch_size=16, num_workers=2, multiprocessing_context=context, timeout=60)
    assert torch.equal(torch.cat([images for images, _ in loader]), wanted)


def test_forked_workers_do_not_free_what_they_inherited(tiny_generator: Path) -> None:
    """The data set holds the only reference to a session whose threads are busy: freed in a child, it would wait for them."""
    code = f"""
import torch, drawwell
from torch.utils.data import ConcatDataset, DataLoader, Dataset
dataset = drawwell.datasets.TorchDataset(drawwell.open({str(tiny_generator)!r}), seed=7, size=512)
loader = DataLoader(dataset, batch_size=64, num_workers=2, multiprocessing_context="fork", timeout=30)
for epoch in range(4):
    torch.rand(512, 512) @ torch.rand(512, 512)
    dataset[0]
    assert sum(len(images) for images, _ in loader) == 512
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_workers_draw_from_a_server(server: Server, engine: Engine) -> None:
    client = drawwell.open(server.url)
    dataset = TorchDataset(client, seed=7, size=48)
    loader = DataLoader(dataset, batch_size=16, num_workers=2, multiprocessing_context="fork", timeout=60)
    drawn = torch.cat([images for images, _ in loader])
    client.close()
    np.testing.assert_array_equal(drawn.permute(0, 2, 3, 1).numpy(), engine.generate(7, 48).images)


def test_labels_are_chosen_by_item(tmp_path: Path) -> None:
    engine = Engine(graphs.write_labelled(tmp_path / "labelled.onnx", "a", "b", "c"), threads=1)
    balanced = TorchDataset(engine, seed=7, size=9, start=4, labels=np.arange(9) % 3)
    for image, label in (balanced[4], balanced[-8]):
        assert (int(label), int(image.max())) == (1, 1)
    loaded = next(iter(DataLoader(balanced, batch_size=9, shuffle=True)))
    assert torch.equal(loaded[0][:, 0, 0, 0], loaded[1])
    assert sorted(loaded[1].tolist()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert TorchDataset(engine, seed=7, size=9, labels=2)[5][1] == 2
    with pytest.raises(RequestError, match="8 labels for 9 images"):
        TorchDataset(engine, seed=7, size=9, labels=[0] * 8)


def test_it_is_a_dataset_of_torch(engine: Engine) -> None:
    dataset: Dataset[Any] = TorchDataset(engine, seed=7, size=10)
    assert isinstance(dataset, Dataset)
    joined: Dataset[Any] = ConcatDataset([dataset, TorchDataset(engine, seed=8, size=10)])
    assert torch.equal(joined[13][0], TorchDataset(engine, seed=8, size=10)[3][0])


def test_a_transform_makes_the_item(engine: Engine) -> None:
    dataset = TorchDataset(engine, seed=7, size=8, transform=lambda image: image.float() / 255)
    images, _ = next(iter(DataLoader(dataset, batch_size=8)))
    assert images.dtype == torch.float32
    assert images.max() <= 1


def test_without_torch_it_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in ("items", "map_style"):
        monkeypatch.delitem(sys.modules, f"drawwell.datasets.{module}")
    with pytest.raises(DrawwellError, match=r"^a torch dataset needs the package torch: .* -m pip install .*\[train\]"):
        _ = drawwell.datasets.TorchDataset
