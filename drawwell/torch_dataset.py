"""Drawn images as a map-style data set of torch. ``drawwell.datasets`` imports this module only when it is used."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from drawwell.errors import RequestError
from drawwell.files.labels import LabelChoice, check_labels
from drawwell.generator import ImageGenerator
from drawwell.install import needed_for

with needed_for("a torch dataset", "train"):
    import torch
    from torch.utils.data import Dataset


class TorchDataset(Dataset[tuple[Any, int]]):
    """``size`` drawn images with their labels; item ``i`` is the image of index ``start + i``, in every worker and on every rank.

    An item is ``(image, label)``. The image is a ``torch.uint8`` tensor ``[C, H, W]``, or the result of ``transform``; the
    label is an ``int``, -1 if the generator has no classes. A ``DataLoader`` draws each of its batches, shuffled or not, with
    one call. In a worker process a local generator loads its file again and uses one thread, and a remote one connects again.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> dataset = drawwell.datasets.TorchDataset(drawwell.open("fashion"), seed=7, size=50_000)
        >>> images, labels = next(iter(DataLoader(dataset, batch_size=64)))
        >>> images.shape, images.dtype, labels.dtype
        (torch.Size([64, 1, 28, 28]), torch.uint8, torch.int64)
    """

    def __init__(
        self,
        generator: ImageGenerator,
        seed: int,
        size: int,
        start: int = 0,
        transform: Callable[[torch.Tensor], Any] | None = None,
        labels: LabelChoice | None = None,
    ) -> None:
        """Check the arguments, and draw the first and the last image.

        Args:
            generator: The source of the images, local or remote.
            seed: The stream of images, in [0, 2**63).
            size: The number of items, at least 1.
            start: The index of item 0.
            transform: Called with each image, uint8 ``[C, H, W]``.
            labels: The classes to draw, by name or by index: one for all items, or one for each. By default each item has the class
                that follows from its address.

        Raises:
            RequestError: An argument is wrong.
            ServerError: The server cannot be used (remote generators only).
        """
        if size < 1:
            raise RequestError(f"size must be at least 1, not {size}")
        # a wrong seed or range is found here and not in a worker
        generator.generate(seed, indices=[start, start + size - 1])
        self._generator, self._seed, self._size, self._start, self._transform = generator, seed, size, start, transform
        self._labels = check_labels(generator.card, labels, size)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, position: int) -> tuple[Any, int]:
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[tuple[Any, int]]:
        """Return several items, which are drawn with one call. A ``DataLoader`` calls this."""
        items = np.array([self._checked(int(position)) for position in positions])
        labels = self._labels[items] if isinstance(self._labels, np.ndarray) else self._labels
        batch = self._generator.generate(self._seed, indices=self._start + items, labels=labels)
        images = torch.from_numpy(np.ascontiguousarray(batch.images.transpose(0, 3, 1, 2)))  # [N, C, H, W]
        drawn = batch.labels.tolist() if batch.labels is not None else [-1] * len(batch)
        return [
            (self._transform(image) if self._transform else image, label)
            for image, label in zip(images, drawn, strict=True)
        ]

    def _checked(self, position: int) -> int:
        if not -self._size <= position < self._size:
            raise IndexError(f"item {position} of {self._size}")
        return position % self._size
