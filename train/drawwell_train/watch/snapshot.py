"""A run at one time, as the pages show it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from drawwell_train.watch.bands import Band
from drawwell_train.watch.charts import Point
from drawwell_train.watch.history import Change
from drawwell_train.watch.row import Row

State = Literal["starting", "training", "finished", "stopped", "diverged", "empty", "unreadable"]

_MOST_COUNT = 10**15
_LINES_OF_SPEED = 10


@dataclass(frozen=True)
class Snapshot:
    """What was read of a run folder.

    Attributes:
        id: names the run in URLs.
        last: the last line of ``stats.jsonl``; None before the first.
        curves: the numbers of its lines, by their names.
        lines: the number of its lines.
        bucket: the lines of which the curves keep the lowest and the highest value; 1 if they keep all.
        sheets: steps of the sample sheets.
        version: changes when sheets may have been written again.
        written_at: when the last line was written, in seconds since 1970.
        problems: sentences about what cannot be read.
    """

    id: str
    name: str
    state: State
    config: Mapping[str, Any] = field(default_factory=dict)
    last: Row | None = None
    curves: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    lines: int = 0
    bucket: int = 1
    bands: Sequence[Band] = ()
    changes: Sequence[Change] = ()
    sheets: Sequence[int] = ()
    version: int = 0
    written_at: float = 0.0
    problems: Sequence[str] = ()

    @property
    def path(self) -> str:
        """Of its page."""
        return f"/runs/{self.id}"

    @property
    def is_live(self) -> bool:
        """Whether a training writes it now."""
        return self.state in ("training", "starting")

    @property
    def step(self) -> int:
        """Of the last line."""
        return self.last.step if self.last else 0

    @property
    def steps(self) -> int | None:
        """The steps that the run is to have; None if its configuration does not say."""
        return self.count("steps")

    def count(self, option: str) -> int | None:
        """An option that is a number above 0; None if the configuration does not say one."""
        value = self.config.get(option)
        return value if isinstance(value, int) and 0 < value < _MOST_COUNT else None

    def curve(self, name: str) -> Sequence[Point]:
        """The points of a number; none if the run does not have it."""
        return self.curves.get(name, ())

    @property
    def images_per_second(self) -> float | None:
        """Of the last line that says it."""
        speeds = self.curve("images_per_second")
        return speeds[-1][1] if speeds else None

    @property
    def seconds_left(self) -> float | None:
        """At the median speed of the last lines, of which one alone may be slow; None unless it is training and has logged a line."""
        speeds = [speed for _, speed in self.curve("images_per_second")[-_LINES_OF_SPEED:] if speed > 0]
        if self.state != "training" or not self.steps or not self.step or not speeds or not self.last:
            return None
        images_per_step = self.last.images / self.step
        left = max(0, self.steps - self.step) * images_per_step / statistics.median(speeds)
        return left if left >= 0 else None  # a line without its images gives NaN

    @property
    def active(self) -> tuple[str, ...]:
        """The conditions that hold now."""
        return self.changes[-1].active if self.changes else ()
