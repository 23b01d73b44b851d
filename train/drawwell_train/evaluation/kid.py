"""The kernel inception distance: Binkowski, Sutherland, Arbel and Gretton, "Demystifying MMD GANs" (2018), section 4."""

import numpy as np
import torch
from torchmetrics.image.kid import poly_mmd

from drawwell_train.evaluation.frechet import Features

_SUBSETS, _SUBSET_IMAGES = 100, 1000
"""As in clean-fid. With fewer than 2,000 images a subset is half of them: larger subsets would be nearly equal."""


def kid(a: Features, b: Features, seed: int = 0) -> tuple[float, float]:
    """Return the mean and the standard deviation, over subsets, of the squared maximum mean discrepancy of two sets of features.

    ``a`` is ``[N, F]``, ``b`` is ``[M, F]``, and ``seed`` picks the subsets. The kernel is ``(x . y / F + 1)^3``. The estimator is
    unbiased (equation 4): for two samples of one distribution it is 0 on average, whatever their size, and can be below 0.
    """
    chance, size = np.random.default_rng(seed), min(_SUBSET_IMAGES, min(len(a), len(b)) // 2)
    distances = [
        mmd(*(features[chance.choice(len(features), size, replace=False)] for features in (a, b)))
        for _ in range(_SUBSETS)
    ]
    return float(np.mean(distances)), float(np.std(distances))


def mmd(a: Features, b: Features) -> float:
    """Return the squared maximum mean discrepancy of all features at once; ``a`` and ``b`` have equally many rows."""
    return float(poly_mmd(torch.from_numpy(a), torch.from_numpy(b)))
