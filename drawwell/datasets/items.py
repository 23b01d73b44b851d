"""Drawn images as items of torch: pairs of an image and a label, both tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from drawwell.generator import Batch
from drawwell.install import needed_for

with needed_for("a torch dataset", "train"):
    import torch
    from torch import Tensor

Item = tuple[Tensor, Tensor]
"""An image and its label, a 0-dimensional int64 tensor."""
Transform = Callable[[Tensor], Any]
"""Makes an image, uint8 ``[C, H, W]``, into what the item holds; a transform of torchvision's ``transforms.v2`` is one."""

NO_CLASS = -1
"""The label of an image of a generator without classes."""


class Epoch:
    """The number of the epoch, in memory that worker processes share: persistent workers see each change."""

    def __init__(self) -> None:
        self._number: Tensor = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    def get(self) -> int:
        """Return the number."""
        return int(self._number)

    def set(self, epoch: int) -> None:
        """Change the number, here and in the workers."""
        self._number.fill_(epoch)


def items_of(batch: Batch, transform: Transform | None) -> list[Item]:
    """Return the images, uint8 ``[C, H, W]`` or what ``transform`` makes of them, with their labels."""
    images = torch.from_numpy(np.ascontiguousarray(batch.images.transpose(0, 3, 1, 2)))  # [N, C, H, W]
    labels = torch.full((len(batch),), NO_CLASS) if batch.labels is None else torch.from_numpy(batch.labels)
    shown: Sequence[Tensor] = [transform(image) for image in images] if transform else images.unbind()
    return list(zip(shown, labels.unbind(), strict=True))
