"""What the accuracies say: whether drawn images help, and how many real ones they are worth."""

import math
from collections.abc import Sequence

import numpy as np

from drawwell.files.certified import Accuracy, Uplift

_STANDARD_ERRORS = 2.8
"""Student's t at 2.5 % for two means of three: a difference that chance alone makes in one row of forty."""


def accuracy(values: Sequence[float]) -> Accuracy:
    """Return mean and sample standard deviation of at least two ``values``."""
    return Accuracy(float(np.mean(values)), float(np.std(values, ddof=1)))


def helps(real: Accuracy, both: Accuracy, seeds: int) -> bool:
    """Whether ``both`` is above ``real`` by more than 2.8 standard errors of the difference of two means over ``seeds``."""
    return both.mean - real.mean > _STANDARD_ERRORS * math.hypot(real.spread, both.spread) / math.sqrt(seeds)


def verdict(rows: Sequence[Uplift]) -> str:
    """Return the sentences on where drawn images help and where not: both are equally loud."""
    return "\n".join(row.in_words() for row in rows)


def worth(rows: Sequence[Uplift], drawn: Accuracy, images: int) -> str:
    """Return how many real images ``images`` drawn ones are worth, by the curve of real images only."""
    return (
        f"{images:,} DRAWN IMAGES ARE WORTH {_equivalent(rows, drawn.mean)} (classifiers that saw drawn images only)."
    )


def equivalent(rows: Sequence[Uplift], accuracy: float) -> float | None:
    """Return the number of real images that gives this accuracy, between the rows; None outside of the curve.

    The curve is made monotone, and is a straight line between rows over the logarithm of the number of images.
    """
    curve = np.maximum.accumulate([row.real.mean for row in rows])
    if not curve[0] <= accuracy <= curve[-1]:
        return None
    return float(np.exp(np.interp(accuracy, curve, np.log([row.real_images for row in rows]))))


def _equivalent(rows: Sequence[Uplift], accuracy: float) -> str:
    found = equivalent(rows, accuracy)
    if found is not None:
        return f"ABOUT {found:,.0f} REAL ONES"
    if accuracy < rows[0].real.mean:
        return f"LESS THAN {rows[0].real_images:,} REAL ONES, THE FEWEST THAT WERE TRIED"
    return f"AT LEAST {rows[-1].real_images:,} REAL ONES, THE MOST THAT WERE TRIED"
