"""What a game is, and what it shows: its numbers, and its picture."""

from typing import NamedTuple, Protocol

from drawwell.generator import Images
from drawwell_train.play.options import PlayOptions

Numbers = dict[str, float]
"""By name: ``loss_d``, ``loss_g``, ``gradient_d``, ``gradient_g``, ``d_real``, ``d_fake`` and ``accuracy_d`` of the last step, and the
standard deviation ``swing`` of D(G(z)); ``value`` and ``bound`` of V(D, G), and ``jsd``, in nats; ``modes`` of ``all_modes``, and
``near``, the share of points at one; ``x`` and ``y``, the mean of the drawn points; of images their ``diversity``. Of the game x y:
``x``, ``y``, their ``distance`` from the equilibrium and the ``turns`` around it."""


class Line(NamedTuple):
    """The numbers of one step, and the conditions of ``drawwell train`` that hold there."""

    step: int
    numbers: Numbers
    conditions: tuple[str, ...]


class Plot(NamedTuple):
    """Points are pairs of numbers in the unit square; surfaces are rows of numbers of [0, 1] from the bottom, ``CELLS`` in each.

    Attributes:
        real: of the data.
        drawn: by G; for x y the path, in its order.
        surface: of D; for x y of the value.
        best: of D*.
    """

    real: list[list[float]]
    drawn: list[list[float]]
    surface: list[float]
    best: list[float]


class Sheets(NamedTuple):
    """Images uint8 ``[N, H, W, C]`` of the data, and as many drawn by G from fixed latents."""

    real: Images
    drawn: Images


View = Plot | Sheets


class Game(Protocol):
    """Two players that learn against each other: G and D, or x and y."""

    measure_every: int
    """Steps between two lines."""

    @property
    def step(self) -> int:
        """Steps done."""

    def change(self, options: PlayOptions) -> None:
        """Go on with other options, of those that need no reset."""

    def advance(self) -> None:
        """Make one step."""

    def measure(self) -> Numbers:
        """The numbers of this step. Measuring changes nothing."""

    def over(self) -> str:
        """A sentence once no further step makes sense, else nothing."""

    def view(self) -> View:
        """What the page draws."""
