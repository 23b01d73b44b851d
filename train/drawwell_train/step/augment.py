"""Augmentation that does not leak into what is generated: DiffAugment, Zhao et al. 2020, "Differentiable Augmentation
for Data-Efficient GAN Training", section 4.

Real and generated images go through the same kind of random changes before D sees them, in D's steps and in G's, and G
learns through them, since all are differentiable: so G is not taught to draw what the changes do to images. What is cut out
or moved in is black; the paper's code fills with grey.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from drawwell_train.distributed import ALONE, Processes
from drawwell_train.presets import Change

_SHIFT = 1 / 8
"""Of the size."""
_HOLE = 1 / 2
"""Of the size, the side of the square that is cut out."""


def diff_augment(images: Tensor, black: float, policy: Sequence[Change], processes: Processes = ALONE) -> Tensor:
    """Colour, translation and cutout, those of them that ``policy`` names, in this order: float ``[N, C, S, S]`` in [black, 1] to the
    same shape.
    """
    for name, change in (("color", _recolour), ("translation", _translate), ("cutout", _cutout)):
        if name in policy:
            images = change(images, black, processes)
    return images


def furthest_shift(images: Tensor) -> int:
    """Pixels that an image is moved at most."""
    return round(images.shape[-1] * _SHIFT)


def _recolour(images: Tensor, black: float, processes: Processes) -> Tensor:
    """Brightness by up to a quarter of the range, saturation by a factor of 0 to 2 (of colours only), contrast by 0.5 to 1.5."""
    images = images + (_uniform(images, processes) - 0.5) * ((1 - black) / 2)
    if images.shape[1] == 3:
        grey = images.mean(1, keepdim=True)
        images = torch.lerp(grey, images, 2 * _uniform(images, processes))
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, 0.5 + _uniform(images, processes))


def _translate(images: Tensor, black: float, processes: Processes) -> Tensor:
    count, _, size, _ = images.shape
    furthest = furthest_shift(images)
    padded = torch.nn.functional.pad(images, [furthest] * 4, value=black)
    rows, columns = (
        _integers(2 * furthest + 1, images, processes) + torch.arange(size, device=images.device) for _ in "yx"
    )
    place = torch.arange(count, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[place, rows[:, :, None], columns[:, None, :]]  # [N, S, S, C]
    return moved.permute(0, 3, 1, 2)


def _cutout(images: Tensor, black: float, processes: Processes) -> Tensor:
    size = images.shape[2]
    side, axis = round(size * _HOLE), torch.arange(size, device=images.device)
    centres = [_integers(size + 1, images, processes) for _ in "yx"]  # [N, 1]
    rows, columns = (((axis - centre + side // 2) >= 0) & ((axis - centre + side // 2) < side) for centre in centres)
    hole = (rows[:, :, None] & columns[:, None, :])[:, None]  # [N, 1, S, S]
    return images.masked_fill(hole, black)


def _uniform(like: Tensor, processes: Processes) -> Tensor:
    """One number from U(0, 1) for each image: ``[N, 1, 1, 1]``."""
    return processes.share(torch.rand((len(like) * processes.count, 1, 1, 1), device=like.device)).to(like.dtype)


def _integers(limit: int, like: Tensor, processes: Processes) -> Tensor:
    """One integer in [0, limit) for each image: ``[N, 1]``."""
    return processes.share(torch.randint(limit, (len(like) * processes.count, 1), device=like.device))
