"""The factor of the latents, under its two names."""

import math
import numbers
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drawwell.errors import RequestError
from drawwell.text import printable

MAX_SPREAD = 2.0


@dataclass(frozen=True)
class Scale:
    """What the latents are multiplied by: ``truncation`` in (0, 1], or ``spread`` in (0, 2]. One of them is 1."""

    truncation: float = 1.0
    spread: float = 1.0

    @property
    def factor(self) -> float:
        """The factor of the latents, 1 for the images of plain addresses."""
        return self.truncation * self.spread

    def __call__(self, z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return ``factor * z``, float32."""
        return z * np.float32(self.factor)


def check_scale(truncation: float, spread: float) -> Scale:
    """Return the scale. Raises ``RequestError`` for a number outside its range, and for both at once."""
    _check("truncation", truncation, 1.0)
    _check("spread", spread, MAX_SPREAD)
    if truncation != 1 and spread != 1:
        raise RequestError("truncation and spread are both a factor of the latents: give one or the other")
    return Scale(float(truncation), float(spread))


def _check(name: str, value: float, most: float) -> None:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not 0 < value <= most:
        raise RequestError(f"{name} must be a number above 0 and at most {most:g}, not {printable(repr(value))}")
