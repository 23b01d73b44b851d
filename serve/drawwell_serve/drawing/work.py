"""A kind of run that requests wait for: drawing images, or judging pictures."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from drawwell.image_request import Feeds

PIECE_SECONDS = 0.01
"""The longest time that one run should take: a new request waits for the runs under way."""

Rows = npt.NDArray[Any]
"""Images uint8 ``[n, H, W, C]``, or logits and class scores float32 ``[n, 1 + K]``."""

_LAST_RUN = 0.05
"""The weight of the last run in the average cost of a row."""


@dataclass(eq=False)
class Work:
    """A kind of run. Pieces of one kind share runs.

    Args:
        run: Computes the rows of a batch.
        ran: Counts a run: its rows, the seconds that each of its pieces waited, the seconds of the run, and those of encoding.
        most_rows: The rows of the largest piece, and of the largest run.
        seconds: The seconds that so many rows took.
    """

    run: Callable[[Feeds], Rows]
    ran: Callable[[int, list[float], float, float], None]
    most_rows: int
    seconds: float
    failed: bool = False
    """Whether a run has failed since the known answers came out right."""

    def __post_init__(self) -> None:
        self._rows = float(self.most_rows)

    @property
    def row_seconds(self) -> float:
        """What a row costs: seconds of one thread, on average over the last runs."""
        return self.seconds / self._rows

    def measure(self, rows: int, seconds: float) -> None:
        """Take a run of so many rows into the average."""
        self._rows += _LAST_RUN * (rows - self._rows)
        self.seconds += _LAST_RUN * (seconds - self.seconds)


def piece_rows(most: int, seconds: Callable[[int], float]) -> tuple[int, float]:
    """Return the rows of a piece, and its seconds: ``most``, halved until ``seconds`` of them is at most ``PIECE_SECONDS``."""
    while (taken := seconds(most)) > PIECE_SECONDS and most > 1:
        most //= 2
    return most, taken


def seconds_of(run: Callable[[Feeds], Rows], feeds: Feeds) -> float:
    """Return the least of three times that a run takes, in seconds."""
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        run(feeds)
        taken.append(time.perf_counter() - begin)
    return min(taken)
