"""One run folder as it is now. Nothing in it is ever written."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from drawwell import atomic_files
from drawwell.files.card import UNREADABLE
from drawwell.text import printable, reason
from drawwell_train.monitor.conditions import NAN
from drawwell_train.run.run_files import CONFIG, SAMPLES, STATS, Line, sheet_name, sheets_in
from drawwell_train.watch.history import Change, History
from drawwell_train.watch.trainer import is_training

State = Literal["starting", "training", "finished", "stopped", "diverged", "empty"]

_MOST_CONFIG_BYTES, _MOST_SHEET_BYTES = 1 << 22, 1 << 26
_MOST_SHEETS = 500
"""A slider has fewer pixels. Of more sheets, evenly spaced ones are shown."""
_MOST_COUNT = 10**15
_SPEED = "images_per_second"
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Snapshot:
    """A run at one time.

    Attributes:
        id: names the run in URLs.
        lines: evenly spaced lines of ``stats.jsonl``, the last one among them.
        stride: how many lines of the file there are for each of them.
        sheets: steps of the sample sheets.
        version: changes when sheets may have been written again.
        problems: sentences about what cannot be read.
    """

    id: str
    name: str
    state: State
    config: dict[str, Any]
    lines: Sequence[Line]
    stride: int
    kids: Sequence[Line]
    changes: Sequence[Change]
    sheets: Sequence[int]
    version: int
    written_at: float
    problems: Sequence[str]

    @property
    def step(self) -> int:
        return self.lines[-1]["step"] if self.lines else 0

    @property
    def steps(self) -> int | None:
        """The steps that the run is to have; None if its configuration does not say."""
        return self.count("steps")

    def count(self, option: str) -> int | None:
        """An option that is a number above 0; None if the configuration does not say one."""
        value = self.config.get(option)
        return value if isinstance(value, int) and 0 < value < _MOST_COUNT else None

    @property
    def images_per_second(self) -> float | None:
        speeds: Iterator[float] = (line[_SPEED] for line in reversed(self.lines) if _SPEED in line)
        return next(speeds, None)

    @property
    def seconds_left(self) -> float | None:
        """None unless it is training and has logged a line."""
        last = self.lines[-1] if self.lines else {}
        if self.state != "training" or not self.steps or not last.get("step") or not self.images_per_second:
            return None
        images_per_step: float = last.get("images", 0) / last["step"]
        return float(max(0, self.steps - last["step"])) * images_per_step / self.images_per_second

    @property
    def active(self) -> tuple[str, ...]:
        """The conditions that hold now."""
        return self.changes[-1].active if self.changes else ()


class WatchedRun:
    """Reads a run folder, each time only what is new."""

    def __init__(self, path: Path, run_id: str, name: str) -> None:
        self.path, self.id, self._name = path, run_id, printable(name)
        self._lock = threading.Lock()
        self._history, self._history_problem = History(path / STATS), ""
        self._config: dict[str, Any] = {}
        self._config_version, self._config_problem = 0, ""
        self._sheets, self._sheets_version = list[int](), 0
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Return the run as it is now: the same object as before if nothing has changed."""
        with self._lock:
            changed = [self._update_history(), self._update_config(), self._update_sheets()]
            state = self._state()
            if self._snapshot is None or any(changed) or state != self._snapshot.state:
                self._snapshot = self._taken(state)
            return self._snapshot

    def sheet(self, step: int) -> bytes | None:
        """The PNG of a sample sheet; None if there is none that can be read."""
        try:
            content = atomic_files.read(self.path / SAMPLES / sheet_name(step), _MOST_SHEET_BYTES)
        except OSError:
            return None
        return content if content.startswith(_PNG) else None

    def _update_history(self) -> bool:
        before = self._history_problem
        try:
            changed, self._history_problem = self._history.update(), ""
        except OSError as error:
            changed, self._history_problem = False, f"{STATS} cannot be read ({reason(error)})"
        return changed or self._history_problem != before

    def _update_config(self) -> bool:
        version = _modified(self.path / CONFIG)
        if version == self._config_version:
            return False
        self._config, self._config_version, self._config_problem = {}, version, ""
        if version:
            try:
                content = atomic_files.read(self.path / CONFIG, _MOST_CONFIG_BYTES)
                self._config = msgspec.json.decode(content, type=dict[str, Any])
            except OSError as error:
                self._config_problem = f"{CONFIG} cannot be read ({reason(error)})"
            except UNREADABLE:
                self._config_problem = f"{CONFIG} is damaged: the options of the run are not known"
        return True

    def _update_sheets(self) -> bool:
        version = _modified(self.path / SAMPLES)
        if version == self._sheets_version:
            return False
        self._sheets_version = version
        names = {path.name: int(path.stem.removeprefix("step-")) for path in sheets_in(self.path)}
        self._sheets = _spaced([step for name, step in names.items() if name == sheet_name(step)])
        return True

    def _state(self) -> State:
        last = self._history.last
        if is_training(self.path):
            return "training" if last else "starting"
        if not last:
            return "empty"
        if NAN in last.get("conditions", ()):
            return "diverged"
        steps = self._config.get("steps")
        return "finished" if isinstance(steps, int) and last["step"] >= steps else "stopped"

    def _taken(self, state: State) -> Snapshot:
        history = self._history
        lines = list(history.thinned.lines)
        if history.last and (not lines or lines[-1]["step"] < history.last["step"]):
            lines.append(history.last)
        return Snapshot(
            id=self.id,
            name=self._name,
            state=state,
            config=self._config,
            lines=lines,
            stride=history.thinned.stride,
            kids=tuple(history.kids.lines),
            changes=tuple(history.changes),
            sheets=self._sheets,
            version=self._config_version,
            written_at=_modified(self.path / STATS) / 1e9,
            problems=tuple(self._problems()),
        )

    def _problems(self) -> list[str]:
        damaged = self._history.damaged
        lines = f"{STATS}: line {damaged:,} is damaged; damaged lines are not shown" if damaged else ""
        return [problem for problem in (self._config_problem, self._history_problem, lines) if problem]


def _modified(path: Path) -> int:
    """When a file was last written, in nanoseconds; 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _spaced(steps: list[int]) -> list[int]:
    if len(steps) <= _MOST_SHEETS:
        return steps
    return [steps[round(place * (len(steps) - 1) / (_MOST_SHEETS - 1))] for place in range(_MOST_SHEETS)]
