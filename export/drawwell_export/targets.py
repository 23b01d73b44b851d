"""The export targets: the rewrites of each, and how far its pixels may be from torch's."""

from dataclasses import dataclass

import torch

from drawwell.files.card import Target
from drawwell_export.graph import Rewrite
from drawwell_export.rewrites import fold_batch_norms, merge_upsampling, project_stem, split_by_parity


@dataclass(frozen=True)
class Recipe:
    """How the graph of a target is made, and its limits.

    ``max_levels`` and ``mean_levels`` limit the difference from torch's pixels, in levels of 255, over ``addresses`` images.
    """

    rewrites: tuple[Rewrite, ...]
    max_levels: int
    mean_levels: float
    dtype: torch.dtype = torch.float32
    int8: bool = False
    addresses: int = 1024


_FLOAT_LEVELS = 1
"""Two float32 kernels add in different orders, so now and then a value crosses a rounding border."""

_FASTEST = fold_batch_norms, merge_upsampling, project_stem, split_by_parity

RECIPES: dict[Target, Recipe] = {
    "portable": Recipe((fold_batch_norms,), _FLOAT_LEVELS, _FLOAT_LEVELS),
    "cpu": Recipe(_FASTEST, _FLOAT_LEVELS, _FLOAT_LEVELS),
    "cpu-int8": Recipe(_FASTEST, max_levels=255, mean_levels=1.5, int8=True, addresses=8192),
    # cuDNN runs transposed convolutions on tensor cores, and they need no interleaving: they stay
    "cuda": Recipe(
        (fold_batch_norms, merge_upsampling, project_stem), max_levels=4, mean_levels=0.5, dtype=torch.float16
    ),
}
