"""The nearest learned image to each drawn one: is it a copy?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from drawwell.formats.png import contact_sheet
from drawwell.generator import Images
from drawwell.pieces import pieces

_PIXELS = 32
"""Distances are taken at this size at most, where a copy that is a pixel off is still one."""
_ROWS = 500
_PAIRS, _COLUMNS = 32, 8


@dataclass(frozen=True)
class Nearest:
    """Of each image, its Euclidean distance to the nearest learned one, float64 ``[N]``, and the place of that, int64 ``[N]``."""

    distances: npt.NDArray[np.float64]
    places: npt.NDArray[np.int64]


def nearest(images: Images, learned: Images) -> Nearest:
    """Look each of ``images`` up in ``learned``, both uint8 ``[N, H, W, C]``, by its pixels."""
    a, b = _small(images), _small(learned)
    found = [torch.cdist(rows, b).min(1) for rows in pieces(a, _ROWS)]
    distances = torch.cat([one.values for one in found]).double().numpy()
    return Nearest(distances, torch.cat([one.indices for one in found]).numpy())


def copying(drawn: Nearest, unseen: Nearest) -> float:
    """The share of pairs in which the drawn image is nearer to a learned one than the unseen real image is; ties count half.

    It is the Mann-Whitney statistic of Meehan, Chaudhuri and Dasgupta 2020, section 3.1, over all pairs: 0.5 is chance.
    """
    ranked = np.sort(drawn.distances)
    below, upto = (np.searchsorted(ranked, unseen.distances, side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(ranked))


def picture(drawn: Images, learned: Images, found: Nearest) -> Images:
    """The nearest pairs, uint8 ``[H', W', C]``: a row of drawn images, and below each the learned one, the likeliest copies first."""
    order = np.argsort(found.distances, kind="stable")[:_PAIRS]
    cells = [images for row in pieces(order, _COLUMNS) for images in (drawn[row], learned[found.places[row]])]
    return contact_sheet(np.concatenate(cells), min(_COLUMNS, len(order)))


def _small(images: Images) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    if pixels.shape[-1] > _PIXELS:
        pixels = F.adaptive_avg_pool2d(pixels, _PIXELS)
    return pixels.flatten(1)
