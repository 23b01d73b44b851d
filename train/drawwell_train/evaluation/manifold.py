"""How two sets of features overlap: each image stands for the ball around it that reaches to its k-th neighbour.

Precision and recall: Kynkaanniemi et al. 2019, equations 1 and 2. Density and coverage: Naeem et al. 2020, equations 3 and 4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from drawwell.pieces import pieces, slices
from drawwell_train.evaluation.frechet import Features

NEIGHBOURS = 5
"""k of Naeem et al. 2020, section 3; a set needs more images than that."""
_ROWS = 1000


@dataclass(frozen=True)
class Overlap:
    """All but ``density`` are shares in [0, 1]; ``density`` is 1 where both sets are of one distribution, and may be above."""

    precision: float
    """Of the drawn images, those within a ball of a real one."""
    recall: float
    """Of the real images, those within a ball of a drawn one."""
    density: float
    """Balls of real images around a drawn one, over k."""
    coverage: float
    """Of the balls of real images, those with a drawn one in them."""


def overlap(real: Features, drawn: Features) -> Overlap:
    """Of real features ``[N, F]`` with drawn ones ``[M, F]``; both need more than ``NEIGHBOURS`` images."""
    a, b = (
        torch.from_numpy(features).double() for features in (real, drawn)
    )  # of floats, distances of copies are not 0
    radii_a, radii_b = _radii(a), _radii(b)
    inside_real, inside_drawn, covered = torch.zeros(len(b)), [], []
    for rows in slices(len(a), _ROWS):
        distances = torch.cdist(a[rows], b)
        within = distances <= radii_a[rows, None]
        inside_real += within.sum(0)
        covered.append(within.any(1))
        inside_drawn.append((distances <= radii_b[None]).any(1))
    return Overlap(
        precision=float((inside_real > 0).double().mean()),
        recall=float(torch.cat(inside_drawn).double().mean()),
        density=float(inside_real.double().mean() / NEIGHBOURS),
        coverage=float(torch.cat(covered).double().mean()),
    )


def _radii(features: Tensor) -> Tensor:
    """The distance of each to its k-th neighbour, itself not counted."""
    distances = (torch.cdist(rows, features) for rows in pieces(features, _ROWS))
    return torch.cat([several.kthvalue(NEIGHBOURS + 1, dim=1).values for several in distances])
