"""The game V(x, y) = x y, with the equilibrium (0, 0): x descends and y ascends, both at once.

A simultaneous step multiplies the distance from the equilibrium by ``sqrt(1 + rate**2)`` if both have the same rate (Goodfellow 2016,
"NIPS 2016 tutorial", section 7.2; Mescheder et al. 2018, section 2). So x and y circle outwards and never arrive.
"""

import math

import torch

from drawwell_train.play.divergence import grid
from drawwell_train.play.options import PlayOptions
from drawwell_train.play.views import Numbers, Plot

_START = 0.2, 0.0
_EDGE = 1.0
"""x and y are shown from -1 to 1."""
_SHOWN_STEPS = 1000


class Product:
    """Two numbers in the places of G and D: x has G's learning rate and its updates per step, y has those of D."""

    measure_every = 2

    def __init__(self, options: PlayOptions) -> None:
        self._options = options
        self._path = [_START]
        self.step = 0
        self.turns = 0.0
        """Around the equilibrium."""

    def change(self, options: PlayOptions) -> None:
        """Go on with other rates."""
        self._options = options

    def advance(self) -> None:
        """Make one step: neither waits to see what the other does."""
        x, y = before = self._path[-1]
        down, up = x, y
        for _ in range(self._options.g_steps):
            down -= self._options.rate_g * y
        for _ in range(self._options.d_steps):
            up += self._options.rate_d * x
        self._path = [*self._path[-_SHOWN_STEPS:], (down, up)]
        self.turns += _angle(before, (down, up)) / (2 * math.pi)
        self.step += 1

    def measure(self) -> Numbers:
        """x, y, their distance from the equilibrium, and the turns around it."""
        x, y = self._path[-1]
        numbers = {"x": x, "y": y, "distance": math.hypot(x, y), "turns": self.turns}
        return {name: float(f"{value:.4g}") for name, value in numbers.items()}

    def over(self) -> str:
        """A sentence once nothing more can be shown."""
        x, y = self._path[-1]
        if max(abs(x), abs(y)) <= _EDGE:
            return ""
        return f"x and y left the picture at step {self.step:,}, after {self.turns:.1f} turns around the equilibrium."

    def view(self) -> Plot:
        """The path, and V over the square."""
        values = (2 * grid() - 1).prod(1)
        path = [[(x + 1) / 2, (y + 1) / 2] for x, y in self._path]
        return Plot([[0.5, 0.5]], path, ((torch.clamp(values, -1, 1) + 1) / 2).tolist(), [])


def _angle(before: tuple[float, float], after: tuple[float, float]) -> float:
    (x, y), (a, b) = before, after
    return math.atan2(x * b - y * a, x * a + y * b)
