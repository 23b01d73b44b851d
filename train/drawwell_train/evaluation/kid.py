"""The kernel inception distance: Binkowski, Sutherland, Arbel and Gretton, "Demystifying MMD GANs" (2018), section 4."""

import numpy as np
import torch
from torchmetrics.image.kid import poly_mmd

from drawwell_train.evaluation.frechet import Features

_SUBSETS, _SUBSET_IMAGES = 100, 1000
"""As clean-fid has it; of fewer than 2,000 images a subset takes half, for else all would be the same."""


def kid(a: Features, b: Features, seed: int = 0) -> tuple[float, float]:
    """The squared maximum mean discrepancy of features ``[N, F]`` and ``[M, F]``, mean and standard deviation over subsets.

    The kernel is ``(x . y / F + 1)^3`` and the estimator unbiased (equation 4), so that of two samples of one
    distribution is 0 on average, whatever their size, and may be below it.
    """
    chance, size = np.random.default_rng(seed), min(_SUBSET_IMAGES, min(len(a), len(b)) // 2)
    distances = [
        mmd(*(features[chance.choice(len(features), size, replace=False)] for features in (a, b)))
        for _ in range(_SUBSETS)
    ]
    return float(np.mean(distances)), float(np.std(distances))


def mmd(a: Features, b: Features) -> float:
    """The same of all features at once, which must be equally many."""
    return float(poly_mmd(torch.from_numpy(a), torch.from_numpy(b)))
