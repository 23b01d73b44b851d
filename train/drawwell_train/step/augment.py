"""DiffAugment: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", section 4.

Real and generated images are augmented in the same way before D sees them, in D's steps and in G's. All augmentations are
differentiable, so G learns through them and does not learn to draw them. Cut-out and moved-in pixels are black; the paper's code
fills with grey.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from drawwell_train.distributed import random_shard
from drawwell_train.presets import Change

_TRANSLATION_SHARE = 1 / 8
"""Largest translation, as a share of the size."""
_CUTOUT_SHARE = 1 / 2
"""Side of the square that cutout hides, as a share of the size."""


def diff_augment(images: Tensor, black: float, policy: Sequence[Change]) -> Tensor:
    """Apply the augmentations that ``policy`` names, in the order colour, translation, cutout: float ``[N, C, S, S]`` in [black, 1] to
    the same shape.
    """
    for name, change in (("color", _recolour), ("translation", _translate), ("cutout", _cutout)):
        if name in policy:
            images = change(images, black)
    return images


def furthest_shift(images: Tensor) -> int:
    """The largest translation in pixels."""
    return round(images.shape[-1] * _TRANSLATION_SHARE)


def _recolour(images: Tensor, black: float) -> Tensor:
    """Brightness by up to a quarter of the range, saturation by a factor of 0 to 2 (of colours only), contrast by 0.5 to 1.5."""
    images = images + (_uniform(images) - 0.5) * ((1 - black) / 2)
    if images.shape[1] == 3:
        grey = images.mean(1, keepdim=True)
        images = torch.lerp(grey, images, 2 * _uniform(images))
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, 0.5 + _uniform(images))


def _translate(images: Tensor, black: float) -> Tensor:
    count, _, size, _ = images.shape
    furthest = furthest_shift(images)
    padded = torch.nn.functional.pad(images, [furthest] * 4, value=black)
    rows, columns = (_integers(2 * furthest + 1, images) + torch.arange(size, device=images.device) for _ in "yx")
    place = torch.arange(count, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[place, rows[:, :, None], columns[:, None, :]]  # [N, S, S, C]
    return moved.permute(0, 3, 1, 2)


def _cutout(images: Tensor, black: float) -> Tensor:
    size = images.shape[2]
    side, axis = round(size * _CUTOUT_SHARE), torch.arange(size, device=images.device)
    centres = [_integers(size + 1, images) for _ in "yx"]  # [N, 1]
    rows, columns = (((axis - centre + side // 2) >= 0) & ((axis - centre + side // 2) < side) for centre in centres)
    hole = (rows[:, :, None] & columns[:, None, :])[:, None]  # [N, 1, S, S]
    return images.masked_fill(hole, black)


def _uniform(like: Tensor) -> Tensor:
    """One number from U(0, 1) per image: ``[N, 1, 1, 1]``."""
    return random_shard(torch.rand, (len(like), 1, 1, 1), like.device).to(like.dtype)


def _integers(limit: int, like: Tensor) -> Tensor:
    """One integer in [0, limit) per image: ``[N, 1]``."""
    return random_shard(partial(torch.randint, limit), (len(like), 1), like.device)
