"""Map-style data sets joined to one whose batches stay whole: one call to each part, where torch's own asks for each item alone."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import check_seed
from drawwell.datasets.items import Item
from drawwell.errors import RequestError
from drawwell.install import needed_for

with needed_for("a torch dataset", "train"):
    import torch
    from torch import Tensor
    from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset


def concat(*datasets: Dataset[Any]) -> "Concat":
    """Join map-style data sets end to end, as ``torch.utils.data.ConcatDataset`` does, with whole batches.

    A batch is one call to each data set that it holds items of. Labels that are Python integers, as torchvision's data
    sets have them, become int64 tensors, so that all items collate.

    Args:
        datasets: Data sets of ``(image, label)``, each with a length.

    Returns:
        The joined data set, a ``ConcatDataset``. Its ``set_epoch`` passes the epoch on to the parts that have one.

    Raises:
        RequestError: There is no data set, or one of them has no length.

    Example:
        >>> first = drawwell.datasets.TorchDataset("fashion", seed=7, size=600, threads=1)
        >>> second = drawwell.datasets.TorchDataset("fashion", seed=8, size=400, threads=1)
        >>> len(drawwell.datasets.concat(first, second))
        1000
    """
    if not datasets:
        raise RequestError("give at least one data set to join")
    for dataset in datasets:
        _check_map_style("every data set to join", dataset)
    return Concat(datasets)


def mixed(real: Dataset[Any], drawn: Dataset[Any], ratio: float = 0.3, *, seed: int) -> "Mixed":
    """Mix all real items with as many drawn ones as make up ``ratio`` of the whole, in a shuffled order.

    The order and the choice of drawn items depend on the arguments alone, so every rank has the same data set. Each real
    item is in it once, and no drawn item twice. A batch is one call to ``real`` and one to ``drawn``.

    Args:
        real: A map-style data set of ``(image, label)``; an image has the type and shape of a drawn one.
        drawn: A map-style data set, as ``TorchDataset``, with enough items.
        ratio: The share of drawn items in the result, at least 0 and below 1.
        seed: Of the order and of the choice, in [0, 2**63).

    Returns:
        The mixed data set. It has a length, and ``set_epoch`` passes the epoch on to ``real`` and ``drawn``.

    Raises:
        RequestError: A data set has no length, the ratio or the seed is wrong, ``drawn`` has too few items, or an image of
            ``real`` and an image of ``drawn`` cannot be in one batch.

    Example:
        >>> real = drawwell.datasets.TorchDataset("fashion", seed=1, size=700, threads=1)  # in place of yours
        >>> drawn = drawwell.datasets.TorchDataset("fashion", seed=7, size=10_000, threads=1)
        >>> len(drawwell.datasets.mixed(real, drawn, ratio=0.3, seed=0))
        1000
    """
    _check_map_style("real", real)
    _check_map_style("drawn", drawn)
    if not 0 <= ratio < 1:
        raise RequestError(f"ratio is the share of drawn items: give one of at least 0 and below 1, not {ratio}")
    try:
        seed = check_seed(seed)
    except (TypeError, ValueError) as error:
        raise RequestError(str(error)) from None
    sizes = len(cast(Any, real)), len(cast(Any, drawn))
    count = _drawn_count(*sizes, ratio)
    if count:
        _check_alike(real[0][0], drawn[0][0])
    return Mixed(Concat((real, drawn)), cast(Any, _order(*sizes, count, seed)))


class Concat(ConcatDataset[Item]):
    """Data sets joined end to end, whose batches are one call to each of them. ``concat`` makes one."""

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to each data set that has a ``set_epoch``."""
        for dataset in self.datasets:
            if callable(begin := getattr(dataset, "set_epoch", None)):
                begin(epoch)

    def __add__(self, other: Dataset[Any]) -> "Concat":
        return concat(self, other)

    def __getitem__(self, position: int) -> Item:
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[Item]:
        """Return several items. A ``DataLoader`` calls this."""
        wanted = np.array([self._checked(int(position)) for position in positions], np.int64)
        parts = np.searchsorted(self.cumulative_sizes, wanted, side="right")
        items: dict[int, Item] = {}
        for part in np.unique(parts).tolist():
            places = np.flatnonzero(parts == part).tolist()
            first = self.cumulative_sizes[part - 1] if part else 0
            items |= zip(places, _fetch(self.datasets[part], (wanted[places] - first).tolist()), strict=True)
        return [items[place] for place in range(len(wanted))]

    def _checked(self, position: int) -> int:
        if not -len(self) <= position < len(self):
            raise IndexError(f"item {position} of {len(self)}")
        return position % len(self)


class Mixed(Subset[Item]):
    """Real and drawn items in a fixed, shuffled order. ``mixed`` makes one."""

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to each data set that has a ``set_epoch``."""
        cast(Concat, self.dataset).set_epoch(epoch)

    def __add__(self, other: Dataset[Any]) -> Concat:
        return concat(self, other)


def _check_map_style(name: str, dataset: Dataset[Any]) -> None:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise RequestError(f"{name} must be a map-style data set with a length, not {type(dataset).__name__}")


def _check_alike(real: object, drawn: object) -> None:
    """Raise ``RequestError`` for images that cannot be stacked, which a worker would find at the first mixed batch."""
    kinds = [_kind(image) for image in (real, drawn)]
    if kinds[0] != kinds[1]:
        raise RequestError(
            f"an image of real is {kinds[0]}, and an image of drawn is {kinds[1]}: give TorchDataset a transform that makes them alike"
        )


def _kind(image: object) -> str:
    if isinstance(image, Tensor):
        return f"{str(image.dtype).removeprefix('torch.')} {list(image.shape)}"
    return type(image).__name__


def _drawn_count(real: int, drawn: int, ratio: float) -> int:
    count = round(real * ratio / (1 - ratio))
    if count > drawn:
        raise RequestError(
            f"a ratio of {ratio:g} beside {real:,} real items takes {count:,} drawn ones, and drawn has {drawn:,}: "
            "give it a larger size, or a lower ratio"
        )
    return count


def _order(real: int, drawn: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """The positions in the joined data set, in their order."""
    numbers = np.random.Generator(np.random.PCG64(seed))
    chosen = real + numbers.permutation(drawn)[:count]
    return numbers.permutation(np.concatenate([np.arange(real), chosen]))


def _fetch(dataset: Dataset[Any], positions: list[int]) -> list[Item]:
    """Several items with one call, where the data set has one, as a ``DataLoader`` does."""
    whole = getattr(dataset, "__getitems__", None)
    items = whole(positions) if callable(whole) else [dataset[position] for position in positions]
    return [_with_tensor_label(item) for item in items]


def _with_tensor_label(item: Any) -> Any:
    image, label = item
    return image, torch.tensor(label) if isinstance(label, int) else label
