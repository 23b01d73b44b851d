"""Drawn images as a map-style data set of torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from drawwell.datasets.addresses import SelectionSource, Source, address_list, check_fresh
from drawwell.datasets.items import Epoch, Item, Transform, items_of
from drawwell.datasets.join import Concat, concat
from drawwell.files.labels import LabelChoice
from drawwell.generator import ImageGenerator
from drawwell.install import needed_for

with needed_for("a torch dataset", "train"):
    from torch.utils.data import Dataset


class TorchDataset(Dataset[Item]):
    """Drawn images with their labels; item ``i`` is the image of index ``start + i``, in every worker and on every rank.

    An item is ``(image, label)``. The image is a ``torch.uint8`` tensor ``[C, H, W]``, or the result of ``transform``; the
    label is a ``torch.int64`` tensor ``[]``, -1 if the generator has no classes. So items collate beside a ``TensorDataset``.

    A ``DataLoader`` draws each of its batches with one call, in any order, through ``Subset``, ``random_split`` and every
    sampler. torch's ``ConcatDataset`` asks for each item alone: use ``drawwell.datasets.concat`` in its place, or ``+`` with this data
    set on its left.

    In a worker process a local generator loads its file again and uses one thread, and a remote one connects again.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> dataset = drawwell.datasets.TorchDataset("fashion", seed=7, size=50_000, threads=1)
        >>> images, labels = next(iter(DataLoader(dataset, batch_size=64)))
        >>> images.shape, images.dtype, labels.dtype
        (torch.Size([64, 1, 28, 28]), torch.uint8, torch.int64)
    """

    def __init__(
        self,
        generator: Source,
        seed: int | None = None,
        size: int | None = None,
        start: int = 0,
        transform: Transform | None = None,
        labels: LabelChoice | None = None,
        *,
        selection: SelectionSource | None = None,
        fresh_each_epoch: bool = False,
        **options: Any,
    ) -> None:
        """Open the generator if it is not open, check the arguments, and draw the first and the last image.

        Args:
            generator: An open generator, or what ``drawwell.open`` opens: a name, a path, a URL or a list of URLs.
            seed: The stream of images, in [0, 2**63).
            size: The number of items, at least 1.
            start: The index of item 0.
            transform: Called with each image, uint8 ``[C, H, W]``. A transform of ``torchvision.transforms.v2`` is one.
            labels: The classes to draw, by name or by index: one for all items, or one for each. By default each item has the class
                that follows from its address.
            selection: A ``drawwell.Selection``, or the path of its file, in place of ``seed``, ``size``, ``start`` and ``labels``.
            fresh_each_epoch: Item ``i`` of epoch ``e`` is the image of index ``start + e * size + i``. ``set_epoch`` sets ``e``.
            options: Of ``drawwell.open``, as ``key`` and ``timeout``, if it opens the generator.

        Raises:
            RequestError: An argument is wrong.
            GeneratorFileError: There is no such generator, or the file is no whole, valid one.
            SelectionError: The selection cannot be read, or its images are of another generator.
            ServerError: The server cannot be used (remote generators only).
        """
        check_fresh(fresh_each_epoch, selection)
        self._addresses = address_list(generator, seed, size, start, labels, selection, options)
        self._transform, self._fresh, self._epoch = transform, fresh_each_epoch, Epoch()

    @property
    def generator(self) -> ImageGenerator:
        """The generator that draws. Close it when you no longer use the data set."""
        return self._addresses.generator

    def set_epoch(self, epoch: int) -> None:
        """Begin epoch ``epoch``, as with torch's ``DistributedSampler``: call it before each pass, on every rank.

        Worker processes see it, persistent ones too. Without ``fresh_each_epoch`` every epoch has the same images.

        Raises:
            RequestError: The epoch is negative, or has indices of 2**63 or more.
        """
        if self._fresh:
            self._addresses.check_epoch(epoch)
            self._epoch.set(epoch)

    def __len__(self) -> int:
        return len(self._addresses)

    def __add__(self, other: Dataset[Any]) -> Concat:
        """Join as ``drawwell.datasets.concat`` does: torch's own ``+`` would ask for each item alone."""
        return concat(self, other)

    def __getitem__(self, position: int) -> Item:
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[Item]:
        """Return several items, which are drawn with one call. A ``DataLoader`` calls this."""
        checked = np.array([self._checked(int(position)) for position in positions], np.int64)
        return items_of(self._addresses.draw(checked, self._epoch.get()), self._transform)

    def _checked(self, position: int) -> int:
        if not -len(self) <= position < len(self):
            raise IndexError(f"item {position} of {len(self)}")
        return position % len(self)
