"""A run folder that is read again and again. Nothing in it is ever written."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from drawwell import atomic_files
from drawwell.files.card_json import UNREADABLE
from drawwell.text import printable, reason
from drawwell_train.monitor.conditions import NAN
from drawwell_train.run.run_files import CONFIG, SAMPLES, STATS, sheet_name, sheets_in
from drawwell_train.watch.history import History
from drawwell_train.watch.row import MOST_STEP
from drawwell_train.watch.snapshot import Snapshot, State
from drawwell_train.watch.trainer import is_training, most_silent_seconds

_MOST_CONFIG_BYTES, _MOST_SHEET_BYTES = 1 << 22, 1 << 26
_MOST_SHEETS = 500
"""A slider has fewer pixels. Of more sheets, evenly spaced ones are shown."""
_PNG = b"\x89PNG\r\n\x1a\n"

_log = logging.getLogger(__name__)


class WatchedRun:
    """Reads a run folder, each time only what is new."""

    def __init__(self, path: Path, run_id: str, name: str) -> None:
        self.path, self.id, self.name = path, run_id, printable(name)
        self._lock = threading.Lock()
        self._history, self._history_problem = History(path / STATS), ""
        self._config: dict[str, Any] = {}
        self._config_version, self._config_problem = 0, ""
        self._sheets, self._sheets_version = list[int](), 0
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Return the run as it is now: the same object as before if nothing has changed.

        A run that cannot be shown, whatever is wrong with it, is a snapshot that says so: the others are shown as before.
        """
        with self._lock:
            try:
                return self._updated()
            except Exception as error:
                return self._unreadable(error)

    def sheet(self, step: int) -> bytes | None:
        """The PNG of a sample sheet; None if there is none that can be read."""
        try:
            content = atomic_files.read(self.path / SAMPLES / sheet_name(step), _MOST_SHEET_BYTES)
        except OSError:
            return None
        return content if content.startswith(_PNG) else None

    def _updated(self) -> Snapshot:
        changed = [self._update_history(), self._update_config(), self._update_sheets()]
        state = self._state()
        if self._snapshot is None or any(changed) or state != self._snapshot.state:
            self._snapshot = self._taken(state)
        return self._snapshot

    def _unreadable(self, error: Exception) -> Snapshot:
        problem = f"this run cannot be shown ({type(error).__name__}: {reason(error)})"
        if self._snapshot is None or self._snapshot.problems != (problem,):
            _log.error("%s: %s", printable(self.path), problem, exc_info=error)
            self._snapshot = Snapshot(self.id, self.name, "unreadable", problems=(problem,))
        return self._snapshot

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
        self._sheets = [step for name, step in names.items() if name == sheet_name(step) and step < MOST_STEP]
        return True

    def _current_sheets(self) -> Iterator[int]:
        """Without the sheets beyond the checkpoint from which a run went on, until training writes them again."""
        last = self._history.last
        for step in self._sheets:
            # training writes its options whenever it begins or goes on
            is_reached = last is not None and step <= last.step
            if is_reached or _modified(self.path / SAMPLES / sheet_name(step)) >= self._config_version:
                yield step

    def _state(self) -> State:
        last = self._history.last
        ended = self._how_it_ended()
        if is_training(self.path, most_silent_seconds(last, self._history.count) if ended == "stopped" else 0.0):
            return "training" if last else "starting"
        return ended if last else "empty"

    def _how_it_ended(self) -> State:
        last, steps = self._history.last, self._config.get("steps")
        if last and NAN in last.conditions:
            return "diverged"
        return "finished" if last and isinstance(steps, int) and last.step >= steps else "stopped"

    def _taken(self, state: State) -> Snapshot:
        history = self._history
        return Snapshot(
            id=self.id,
            name=self.name,
            state=state,
            config=self._config,
            last=history.last,
            curves={name: curve.points() for name, curve in history.curves.items()},
            lines=history.count,
            bucket=max(curve.bucket for curve in history.curves.values()),
            bands=history.bands.until(history.last.step if history.last else 0),
            changes=tuple(history.changes),
            sheets=_spaced([*self._current_sheets()]),
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
