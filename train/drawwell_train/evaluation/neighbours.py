"""The nearest training image of each generated one: is it a copy?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from drawwell.formats.png import contact_sheet
from drawwell.generator import Images
from drawwell.pieces import pieces

_POOLED_PIXELS = 32
"""Larger images are pooled to this size: more pixels cost time and add noise, and a copy that is a pixel off stays a copy."""
_ROWS_AT_ONCE = 500
_PAIRS, _COLUMNS = 32, 8


@dataclass(frozen=True)
class Nearest:
    """For each image the Euclidean distance to its nearest training image, float64 ``[N]``, and the row of that image, int64 ``[N]``."""

    distances: npt.NDArray[np.float64]
    places: npt.NDArray[np.int64]


def nearest(images: Images, training: Images) -> Nearest:
    """Find the nearest of ``training`` by its pixels for each of ``images``, both uint8 ``[N, H, W, C]``."""
    a, b = _flat(images), _flat(training)
    found = [torch.cdist(rows, b).min(1) for rows in pieces(a, _ROWS_AT_ONCE)]
    distances = torch.cat([one.values for one in found]).double().numpy()
    return Nearest(distances, torch.cat([one.indices for one in found]).numpy())


def copying(generated: Nearest, unseen: Nearest) -> float:
    """Return the share of pairs in which the generated image is nearer to a training image than the unseen real image is.

    Ties count half, and 0.5 is chance. It is the Mann-Whitney statistic of Meehan, Chaudhuri and Dasgupta 2020, section 3.1,
    over all pairs.
    """
    ranked = np.sort(generated.distances)
    below, upto = (np.searchsorted(ranked, unseen.distances, side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(ranked))


def picture(generated: Images, training: Images, found: Nearest) -> Images:
    """Return the nearest pairs as a sheet, uint8 ``[H', W', C]``: generated images, each with its training image below it.

    The likeliest copies come first.
    """
    order = np.argsort(found.distances, kind="stable")[:_PAIRS]
    cells = [images for row in pieces(order, _COLUMNS) for images in (generated[row], training[found.places[row]])]
    return contact_sheet(np.concatenate(cells), min(_COLUMNS, len(order)))


def pooled(images: Tensor) -> Tensor:
    """Return ``images``, float ``[N, C, H, W]``, averaged to 32 x 32 pixels where they are wider."""
    return F.adaptive_avg_pool2d(images, _POOLED_PIXELS) if images.shape[-1] > _POOLED_PIXELS else images


def _flat(images: Images) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    return pooled(pixels).flatten(1)
