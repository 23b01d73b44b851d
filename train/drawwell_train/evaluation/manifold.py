"""The overlap of two sets of features: each image stands for the ball around it that reaches to its k-th neighbour.

Precision and recall: Kynkaanniemi et al. 2019, equations 1 and 2. Density and coverage: Naeem et al. 2020, equations 3 and 4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from drawwell.pieces import pieces
from drawwell_train.evaluation.frechet import Features

NEIGHBOURS = 5
"""k of Naeem et al. 2020, section 3. A set needs more images than this."""
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Overlap:
    """Precision, recall and coverage are shares in [0, 1]. ``density`` is about 1 for two sets of one distribution, and can exceed it."""

    precision: float
    """Share of generated images inside a ball of a real one."""
    recall: float
    """Share of real images inside a ball of a generated one."""
    density: float
    """Mean number of balls of real images around a generated one, divided by k."""
    coverage: float
    """Share of balls of real images with a generated image inside."""


def overlap(real: Features, generated: Features) -> Overlap:
    """Compare real features ``[N, F]`` with generated ones ``[M, F]``; both need more than ``NEIGHBOURS`` rows."""
    # float64: in float32 the distance of two copies is not 0
    a, b = (torch.from_numpy(features).double() for features in (real, generated))
    radii_a, radii_b = _radii(a), _radii(b)
    balls_around, inside_generated, covered = torch.zeros(len(b)), [], []
    for rows, radii in zip(pieces(a, _ROWS_AT_ONCE), pieces(radii_a, _ROWS_AT_ONCE), strict=True):
        distances = torch.cdist(rows, b)
        within = distances <= radii[:, None]
        balls_around += within.sum(0)
        covered.append(within.any(1))
        inside_generated.append((distances <= radii_b[None]).any(1))
    return Overlap(
        precision=float((balls_around > 0).double().mean()),
        recall=float(torch.cat(inside_generated).double().mean()),
        density=float(balls_around.double().mean() / NEIGHBOURS),
        coverage=float(torch.cat(covered).double().mean()),
    )


def _radii(features: Tensor) -> Tensor:
    """The distance of each row to its k-th neighbour, itself not counted."""
    distances = (torch.cdist(rows, features) for rows in pieces(features, _ROWS_AT_ONCE))
    return torch.cat([one.kthvalue(NEIGHBOURS + 1, dim=1).values for one in distances])
