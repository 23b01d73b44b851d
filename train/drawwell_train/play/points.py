"""The data: mixtures of Gaussians in the unit square, whose density is known in closed form."""

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

RING_STD, GRID_STD, CLUSTER_STD = 0.03, 0.02, 0.04
_NEAR = 3.0
"""Standard deviations. 98.9 % of the data are nearer than this to the centre of their mode."""


@dataclass(frozen=True)
class Mixture:
    """Gaussians of equal weight and standard deviation ``std``, around ``centres`` float32 ``[K, 2]``."""

    centres: Tensor
    std: float

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points, float32 ``[count, 2]``, from a generator or from torch's own random state."""
        chosen = torch.randint(len(self.centres), (count,), generator=generator)
        return self.centres[chosen] + self.std * torch.randn(count, 2, generator=generator)

    def density(self, points: Tensor, blur: float = 0.0) -> Tensor:
        """The density at points ``[N, 2]``, float32 ``[N]``, after convolution with a Gaussian of standard deviation ``blur``."""
        variance = self.std**2 + blur**2
        squared = torch.cdist(points, self.centres).square()
        return (-squared / (2 * variance)).exp().mean(1) / (2 * math.pi * variance)

    def share_near(self, points: Tensor) -> Tensor:
        """The share of points ``[N, 2]`` that lie near each mode, within three standard deviations: float32 ``[K]``."""
        return (torch.cdist(points, self.centres) < _NEAR * self.std).float().mean(0)


def mixture_of(data: str) -> Mixture:
    """The mixture that an option names: ring, grid or clusters."""
    if data == "ring":
        angles = torch.arange(8) * (2 * math.pi / 8)
        return Mixture(0.5 + 0.35 * torch.stack([angles.cos(), angles.sin()], 1), RING_STD)
    if data == "grid":
        axis = [0.1, 0.3, 0.5, 0.7, 0.9]
        return Mixture(torch.tensor(list(product(axis, axis))), GRID_STD)
    return Mixture(torch.tensor([[0.2, 0.25], [0.8, 0.75]]), CLUSTER_STD)
