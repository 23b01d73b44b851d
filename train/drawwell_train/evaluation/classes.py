"""Class histograms, and the difference of two."""

import numpy as np
import numpy.typing as npt

from drawwell_train.data.classes import LabelArray
from drawwell_train.data.images import ImageData

Shares = npt.NDArray[np.float64]

_SEED = 0


def labels_like(images: ImageData, count: int) -> LabelArray:
    """Return labels int64 ``[count]`` in the class shares of ``images``, which must have labels; always the same ones."""
    assert images.labels is not None, "the caller checks for labels"
    rounds = [np.random.default_rng(_SEED).permutation(images.labels)] * -(-count // len(images.labels))
    return np.concatenate(rounds)[:count]


def class_shares(labels: LabelArray, classes: int) -> Shares:
    """Return the histogram of ``labels`` as shares, float64 ``[classes]``."""
    return np.bincount(labels, minlength=classes) / len(labels)


def kl(generated: Shares, data: Shares) -> float:
    """Return ``KL(generated || data)`` of two histograms in nats. It is finite: a class without data counts as one in a million."""
    seen = generated > 0
    return float((generated[seen] * np.log(generated[seen] / data[seen].clip(1e-6))).sum())
