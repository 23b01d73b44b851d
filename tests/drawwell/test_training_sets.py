"""Data sets for training jobs: joined, mixed, streamed, by selection, by epoch, over ranks and workers."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)

import drawwell
from drawwell import Engine, RequestError, Selection, SelectionError
from drawwell.datasets import TorchDataset, TorchStream, addresses, concat, mixed
from drawwell.opening import open_generator
from tests import graphs, scripted
from tests.scripted import Scripted

CLASSES = ("a", "b", "c")
IMAGE = (graphs.SHAPE[2], *graphs.SHAPE[:2])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator whose images are their labels."""
    return graphs.write_labelled(tmp_path_factory.mktemp("labelled") / "labelled.onnx", *CLASSES)


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the generators that data sets open."""
    opened: list[drawwell.ImageGenerator] = []

    def open_and_note(target: Any, **options: Any) -> drawwell.ImageGenerator:
        opened.append(open_generator(target, **options))
        return opened[-1]

    monkeypatch.setattr(addresses, "open_generator", open_and_note)
    yield
    for generator in opened:
        generator.close()


@pytest.fixture
def counting() -> Iterator[Scripted]:
    """A server whose images are the low byte of their index, and that keeps each request."""
    with scripted.serving() as server:
        yield server


def drawn(server: Scripted, size: int = 100, **others: Any) -> TorchDataset:
    """A data set over ``server``, whose requests so far are forgotten."""
    dataset = TorchDataset(server.url, seed=7, size=size, retry_for=0, **others)
    server.asked.clear()
    return dataset


def real(size: int) -> TensorDataset:
    """Images of 255, with label 9."""
    return TensorDataset(torch.full((size, *IMAGE), 255, dtype=torch.uint8), torch.full((size,), 9))


def indices_of(loader: Any) -> list[int]:
    """The indices of images of the counting server."""
    return [int(image.flatten()[0]) for images, _ in loader for image in images]


def test_it_opens_what_open_does_and_takes_its_options(counting: Scripted, labelled: Path) -> None:
    dataset = TorchDataset(counting.url, seed=7, size=10, key="k", timeout=5, retry_for=0)
    assert torch.equal(dataset[3][0], torch.full(IMAGE, 3, dtype=torch.uint8))
    local = TorchDataset(labelled, seed=7, size=3, threads=1).generator
    assert isinstance(local, Engine)
    assert local.threads == 1
    with pytest.raises(RequestError, match=r"threads: give it to drawwell\.open, since this generator is open already"):
        TorchDataset(local, seed=7, size=3, threads=1)
    with pytest.raises(RequestError, match="key: only for a server's URL"):
        TorchDataset(labelled, seed=7, size=3, key="k")


@pytest.mark.parametrize("kind", [TorchDataset, TorchStream])
def test_several_servers_are_one_source(counting: Scripted, kind: Any) -> None:
    with scripted.serving() as broken:
        dataset = kind([broken.url, counting.url], seed=7, size=10, retry_for=0)
        broken.script = [lambda handler, _: handler.reply(503, b"")]
        assert indices_of(DataLoader(dataset, batch_size=5)) == list(range(10))
    with pytest.raises(RequestError, match="fashion: a list names servers"):
        kind([counting.url, "fashion"], seed=7, size=10)


@pytest.mark.parametrize("size", [0, -1, True, 2.5])
def test_a_wrong_size_is_a_sentence(labelled: Path, size: Any) -> None:
    with pytest.raises(RequestError, match="size must be an integer of at least 1"):
        TorchDataset(labelled, seed=7, size=size)


def test_items_collate_beside_a_tensor_dataset(counting: Scripted) -> None:
    dataset = drawn(counting, size=10)
    for parts in ([dataset, real(10)], [real(10), dataset]):
        joined: Dataset[Any] = ConcatDataset(parts)
        _, labels = next(iter(DataLoader(joined, batch_size=20)))
        assert labels.dtype == torch.int64
        assert Counter(labels.tolist()) == {-1: 10, 9: 10}


@pytest.mark.parametrize("first", ["real", "drawn"])
def test_labels_that_are_integers_collate_when_joined(counting: Scripted, first: str) -> None:
    pairs: Any = [(image, int(label)) for image, label in (real(20)[place] for place in range(20))]
    joined = concat(pairs, drawn(counting)) if first == "real" else concat(drawn(counting), pairs)
    _, labels = next(iter(DataLoader(joined, batch_size=120)))
    assert Counter(labels.tolist()) == {-1: 100, 9: 20}


def test_a_batch_is_one_request_through_whatever_torch_puts_around_it(counting: Scripted) -> None:
    dataset = drawn(counting)
    joined = concat(real(50), dataset, real(50))
    mixture = mixed(real(70), dataset, ratio=0.3, seed=1)
    wrapped: list[tuple[Dataset[Any], int]] = [
        (Subset(dataset, list(range(99, -1, -2))), 2),
        (random_split(dataset, [0.5, 0.5], torch.Generator().manual_seed(1))[1], 2),
        (joined, 7),
        (Subset(joined, list(range(200))), 7),
        (mixture, 4),
        (dataset + real(100), 7),
        (joined + real(100), 10),
        (mixture + real(100), 7),
    ]
    for data, batches in wrapped:
        counting.asked.clear()
        loader = DataLoader(data, batch_size=32, shuffle=True)
        assert sum(len(images) for images, _ in loader) == len(data)  # type: ignore[arg-type]
        assert len(counting.asked) <= batches
    counting.asked.clear()
    sampler = WeightedRandomSampler([1.0] * 100, 96)
    assert sum(len(images) for images, _ in DataLoader(dataset, batch_size=32, sampler=sampler)) == 96
    assert len(counting.asked) == 3


def test_joined_items_are_those_of_their_data_sets(counting: Scripted) -> None:
    joined = concat(real(5), drawn(counting))
    assert [int(image.flatten()[0]) for image, _ in joined.__getitems__([0, 7, -1, 5, 7])] == [255, 2, 99, 0, 2]
    assert isinstance(joined, ConcatDataset) and len(joined) == 105
    with pytest.raises(IndexError):
        joined[105]
    sums = [drawn(counting) + real(5), drawn(counting) + drawn(counting) + real(5)]
    assert [type(one) for one in sums] == [type(joined)] * 2
    assert [len(one) for one in sums] == [105, 205]
    with pytest.raises(RequestError, match="every data set to join must be a map-style data set"):
        drawn(counting) + TorchStream(counting.url, seed=7, size=5)


@given(count=st.integers(1, 60), ratio=st.floats(0, 0.9), seed=st.integers(0, 2**63 - 1))
def test_a_mixture_has_each_real_item_once_and_the_share_of_drawn_ones(count: int, ratio: float, seed: int) -> None:
    stands_for_drawn = TensorDataset(
        torch.arange(600).byte().reshape(-1, 1, 1, 1).expand(-1, *IMAGE), torch.arange(600)
    )
    one, again = (mixed(real(count), stands_for_drawn, ratio, seed=seed) for _ in range(2))
    assert list(one.indices) == list(again.indices)
    labels = [int(label) for _, label in one.__getitems__(list(range(len(one))))]
    assert len(set(one.indices)) == len(one) == len(labels)
    assert set(range(count)) <= set(one.indices)
    assert abs((len(one) - count) - ratio * len(one)) <= 1


def test_another_seed_mixes_otherwise(counting: Scripted) -> None:
    dataset = drawn(counting)
    orders = [list(mixed(real(50), dataset, seed=seed).indices) for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_ranks_share_a_mixture(counting: Scripted) -> None:
    seen: Counter[int] = Counter()
    for rank in range(2):
        data = mixed(real(70), drawn(counting, size=30), ratio=0.3, seed=3)
        sampler: Any = DistributedSampler(data, num_replicas=2, rank=rank)
        seen.update(indices_of(DataLoader(data, batch_size=10, sampler=sampler)))
    assert seen == {255: 70} | dict.fromkeys(range(30), 1)


def test_what_cannot_be_mixed_is_a_sentence(counting: Scripted) -> None:
    dataset, other = drawn(counting), real(1000)
    with pytest.raises(RequestError, match=r"beside 1,000 real items takes 429 drawn ones, and drawn has 100: give it"):
        mixed(other, dataset, seed=0)
    for ratio in (-0.1, 1, float("nan")):
        with pytest.raises(RequestError, match="ratio is the share of drawn items"):
            mixed(other, dataset, ratio, seed=0)
    wrong: list[tuple[Any, str]] = [
        (-1, r"seed must be in \[0, 2\*\*63\), not -1"),
        (2**63, r"seed must be in \[0, 2\*\*63\)"),
        (1.5, "seed must be an integer, not float"),
        ("1", "seed must be an integer, not str"),
        (True, "seed must be an integer, not bool"),
        (None, "seed must be an integer, not NoneType"),
    ]
    for seed, sentence in wrong:
        with pytest.raises(RequestError, match=sentence):
            mixed(real(70), dataset, seed=seed)
    with pytest.raises(RequestError, match="real must be a map-style data set with a length, not TorchStream"):
        mixed(TorchStream(counting.url, seed=7, size=5), dataset, seed=0)
    grey = TensorDataset(torch.zeros(10, 1, 28, 28), torch.zeros(10))
    with pytest.raises(
        RequestError, match=r"real is float32 \[1, 28, 28\], and an image of drawn is uint8 \[1, 2, 3\]"
    ):
        mixed(grey, dataset, seed=0)
    with pytest.raises(RequestError, match="at least one data set"):
        concat()


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_persistent_workers_draw_fresh_addresses_each_epoch(counting: Scripted, context: str) -> None:
    dataset = drawn(counting, size=20, start=10, fresh_each_epoch=True)
    joined = concat(dataset)
    loader = DataLoader(
        joined, batch_size=5, num_workers=2, persistent_workers=True, multiprocessing_context=context, timeout=60
    )
    for epoch in (0, 1, 2, 0):
        joined.set_epoch(epoch)
        assert indices_of(loader) == list(range(10 + 20 * epoch, 30 + 20 * epoch))


def test_epochs_are_the_same_unless_they_shall_be_fresh(counting: Scripted) -> None:
    dataset = drawn(counting, size=20)
    dataset.set_epoch(3)
    assert indices_of(DataLoader(dataset, batch_size=20)) == list(range(20))


def test_an_epoch_without_addresses_is_a_sentence(counting: Scripted) -> None:
    dataset = drawn(counting, size=2**62, fresh_each_epoch=True)
    dataset.set_epoch(1)
    for epoch in (2, -1):
        with pytest.raises(RequestError, match=r"epoch .* has indices outside \[0, 2\*\*63\)"):
            dataset.set_epoch(epoch)


@pytest.mark.parametrize(("context", "size"), [("fork", 103), pytest.param("spawn", 100, marks=pytest.mark.slow)])
def test_a_stream_has_every_address_once_over_ranks_and_workers(counting: Scripted, context: str, size: int) -> None:
    shares = []
    for rank in range(2):
        stream = TorchStream(counting.url, seed=7, size=size, request_images=16, rank=rank, world_size=2)
        loader = DataLoader(stream, batch_size=8, num_workers=2, multiprocessing_context=context, timeout=60)
        shares.append(indices_of(loader))
    assert sorted(shares[0] + shares[1]) == list(range(size))
    assert abs(len(shares[0]) - len(shares[1])) <= 2  # one of each worker


def test_a_stream_asks_in_pieces_and_ahead(counting: Scripted) -> None:
    stream = TorchStream(counting.url, seed=7, size=2**40, request_images=16, prefetch=2)
    counting.asked.clear()
    items = iter(stream)
    assert [int(next(items)[0].flatten()[0]) for _ in range(40)] == list(range(40))
    items.close()  # type: ignore[attr-defined]
    assert 3 <= len(counting.asked) <= 5
    assert all(len(asked["indices"]) == 16 for _, asked in counting.asked)


def test_a_stream_begins_each_epoch_afresh(counting: Scripted) -> None:
    stream = TorchStream(counting.url, seed=7, size=20, fresh_each_epoch=True)
    loader = DataLoader(stream, batch_size=5, num_workers=1, persistent_workers=True, timeout=60)
    for epoch in range(3):
        stream.set_epoch(epoch)
        assert indices_of(loader) == list(range(20 * epoch, 20 * epoch + 20))


def test_a_stream_takes_its_rank_from_torchrun(counting: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    stream = TorchStream(counting.url, seed=7, size=10)
    monkeypatch.delenv("RANK")
    assert indices_of(DataLoader(stream, batch_size=5)) == [1, 5, 9]
    monkeypatch.setenv("RANK", "four")
    with pytest.raises(RequestError, match="the variable RANK must be an integer, not 'four'"):
        TorchStream(counting.url, seed=7, size=10)


def test_wrong_arguments_of_a_stream_are_sentences(counting: Scripted) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"rank": 1}, "rank and world_size together"),
        ({"rank": 2, "world_size": 2}, r"rank must be in \[0, 2\)"),
        ({"request_images": 0}, "request_images must be at least 1"),
    ]
    for arguments, sentence in wrong:
        with pytest.raises(RequestError, match=sentence):
            TorchStream(counting.url, seed=7, size=10, **arguments)


@pytest.fixture
def selection(labelled: Path) -> Selection:
    with drawwell.open(labelled, threads=1) as generator:
        return Selection(generator.digest, 7, np.array([3, 5, 40]), np.array([2, 0, 1]))


def test_a_selection_names_the_items(labelled: Path, selection: Selection, tmp_path: Path) -> None:
    selection.write(tmp_path / "s.json")
    for source in (selection, tmp_path / "s.json", str(tmp_path / "s.json")):
        dataset = TorchDataset(labelled, selection=source, threads=1)
        images, labels = next(iter(DataLoader(dataset, batch_size=8)))
        assert labels.tolist() == images[:, 0, 0, 0].tolist() == [2, 0, 1]
        assert [int(label) for _, label in TorchStream(labelled, selection=source, threads=1)] == [2, 0, 1]


def test_a_selection_draws_the_indices_of_its_file(counting: Scripted) -> None:
    chosen = np.array([3, 5, 40])
    dataset = TorchDataset(counting.url, selection=Selection(scripted.DIGEST, 7, chosen), retry_for=0)
    assert indices_of(DataLoader(dataset, batch_size=3)) == [3, 5, 40]


def test_a_selection_is_drawn_with_its_spread() -> None:
    with drawwell.open("fashion", threads=1) as generator:
        wide = Selection(generator.digest, 7, np.array([3, 8]), spread=1.5)
        drawn = generator.generate(7, indices=[3, 8], spread=1.5).images
        assert not np.array_equal(drawn, generator.generate(7, indices=[3, 8]).images)
        images, _ = next(iter(DataLoader(TorchDataset(generator, selection=wide), batch_size=2)))
        assert images.permute(0, 2, 3, 1).numpy().tolist() == drawn.tolist()


def test_what_a_selection_excludes_is_a_sentence(labelled: Path, selection: Selection, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="leave out seed, size, start and labels"):
        TorchDataset(labelled, seed=7, selection=selection)
    with pytest.raises(RequestError, match="leave out fresh_each_epoch"):
        TorchDataset(labelled, selection=selection, fresh_each_epoch=True)
    with pytest.raises(RequestError, match="give seed and size, or a selection"):
        TorchDataset(labelled, seed=7)
    other = Selection("0" * 64, 7, np.array([3]))
    with pytest.raises(SelectionError, match="the selection is of generator 000000000000, and this generator"):
        TorchDataset(labelled, selection=other)
    with pytest.raises(SelectionError, match="cannot be read"):
        TorchDataset(labelled, selection=tmp_path / "none.json")
