"""Generated images as a torch dataset."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from drawwell.errors import RequestError
from drawwell.files.labels import LabelChoice, check_labels
from drawwell.generator import ImageGenerator

if TYPE_CHECKING:
    import torch

Transform = Callable[["torch.Tensor"], Any]
Item = tuple[Any, int]


class TorchDataset:
    """A map-style dataset of ``size`` images: item ``i`` is that of ``(seed, start + i)``, in every worker and on every rank.

    An item is ``(image, label)``: a ``torch.uint8`` tensor ``[C, H, W]``, or what ``transform`` makes of it, and an
    integer that is -1 where the generator has no classes. ``labels``, one for all items or one for each, are the classes
    to draw, in place of those that belong to the addresses. A ``DataLoader`` draws each of its batches, shuffled or not,
    with one call. In a worker process a local generator is loaded anew and uses one thread, a remote one connects anew.
    """

    def __init__(
        self,
        generator: ImageGenerator,
        seed: int,
        size: int,
        start: int = 0,
        transform: Transform | None = None,
        labels: LabelChoice | None = None,
    ) -> None:
        if size < 1:
            raise RequestError(f"size must be at least 1, not {size}")
        # a wrong seed or range is found here and not in a worker
        generator.generate(seed, indices=[start, start + size - 1])
        self._generator, self._seed, self._size, self._start, self._transform = generator, seed, size, start, transform
        self._labels = check_labels(generator.card, labels, size)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, position: int) -> Item:
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[Item]:
        import torch

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
