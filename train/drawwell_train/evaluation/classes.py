"""The histogram of classes, and how two differ."""

import numpy as np
import numpy.typing as npt

from drawwell_train.data.images import ImageData

Labels = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

_SEED = 0


def labels_like(images: ImageData, count: int) -> Labels:
    """Labels int64 ``[count]`` in the shares of the data."""
    assert images.labels is not None, "the caller looked"
    rounds = [np.random.default_rng(_SEED).permutation(images.labels)] * -(-count // len(images.labels))
    return np.concatenate(rounds)[:count]


def class_shares(labels: Labels, classes: int) -> Shares:
    """The class histogram as shares, float64 ``[classes]``."""
    return np.bincount(labels, minlength=classes) / len(labels)


def kl(drawn: Shares, data: Shares) -> float:
    """``KL(drawn || data)`` of two histograms in nats, infinite never: a class that the data lacks counts as one in a million."""
    there = drawn > 0
    return float((drawn[there] * np.log(drawn[there] / data[there].clip(1e-6))).sum())
