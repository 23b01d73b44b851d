"""What the best D would say, and how far drawn points are from the data: both need densities, and both are known in the plane.

The data's density p is known in closed form. The density q of drawn points is estimated with Gaussian kernels. Kernels blur q, so p is
blurred in the same way. No blur makes two distributions differ more, so the divergence of the blurred ones is at most the true one.
"""

import math

import torch
from torch import Tensor

from drawwell_train.play.points import Mixture

CELLS = 64
"""Of the grid in each direction. A cell is smaller than every standard deviation here."""
BANDWIDTH = 0.02
"""Standard deviation of the kernels, in units of the square."""

_LEAST_DENSITY = 0.01
"""Of p + q. Points all over the square would have a density of 1."""


def grid() -> Tensor:
    """The centres of the cells, float32 ``[CELLS * CELLS, 2]``, row by row from the bottom; x grows along a row."""
    y, x = torch.meshgrid(_axis(), _axis(), indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)


def kernel_density(points: Tensor) -> Tensor:
    """The density of points ``[N, 2]`` on the grid, by a kernel density estimate: float32 ``[CELLS * CELLS]``."""
    across, up = (_kernels(points[:, axis]) for axis in (0, 1))
    return (up.T @ across / len(points)).flatten()


def best_discriminator(p: Tensor, q: Tensor) -> Tensor:
    """``D* = p / (p + q)`` (Goodfellow et al. 2014, equation 2) of densities ``[N]``; 1/2 where there is next to nothing of either.

    There the estimate of q says more about the kernels than about the points.
    """
    total = p + q
    return torch.where(total > _LEAST_DENSITY, p / total.clamp(min=_LEAST_DENSITY), 0.5)


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """The Jensen-Shannon divergence in nats, in [0, log 2], of densities ``[N]`` on the cells of a grid."""
    p, q = (density.double() / density.double().sum() for density in (p, q))
    middle = (p + q) / 2
    return (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2


def blurred(mixture: Mixture) -> Tensor:
    """The data's density on the grid, blurred as the estimate of q is: float32 ``[CELLS * CELLS]``."""
    return mixture.density(grid(), BANDWIDTH)


def _axis() -> Tensor:
    return (torch.arange(CELLS) + 0.5) / CELLS


def _kernels(places: Tensor) -> Tensor:
    """float32 ``[N, CELLS]``: a Gaussian is the product of one along x and one along y."""
    distances = (places[:, None] - _axis()) / BANDWIDTH
    kernels: Tensor = (-distances.square() / 2).exp() / (BANDWIDTH * math.sqrt(2 * math.pi))
    return kernels


def _relative_entropy(p: Tensor, q: Tensor) -> float:
    return float(torch.special.xlogy(p, p / q.clamp(min=torch.finfo(p.dtype).tiny)).sum())
