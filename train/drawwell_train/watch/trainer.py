"""Whether a training is writing a run folder now, without touching its lock: a trainer that starts must find it free."""

import socket
import time
from pathlib import Path

import psutil

from drawwell import atomic_files
from drawwell_train.run.run_files import LOCK, STATS, holder_of
from drawwell_train.watch.row import Row

_LEAST_SILENT_SECONDS, _MOST_SILENT_SECONDS = 60.0, 600.0
_SILENT_LINES = 10
"""Measuring KID and saving a checkpoint take longer than most lines."""
_CLOCK_SECONDS = 60
"""The clock of processes and that of files may differ by so much."""
_MOST_BYTES = 1000


def is_training(run: Path, silent_seconds: float) -> bool:
    """Return whether the process that ``.lock`` names is still at work.

    A process of another host cannot be asked: it counts as training until it has written no line for ``silent_seconds``.
    """
    try:
        holder = holder_of(atomic_files.read(run / LOCK, _MOST_BYTES))
        locked_at = (run / LOCK).stat().st_mtime
    except OSError:
        return False
    if holder is None:
        return False
    if holder.host != socket.gethostname():
        return time.time() - max(locked_at, _written_at(run)) < silent_seconds
    return _lives(holder.pid, locked_at)


def most_silent_seconds(last: Row | None, lines: int) -> float:
    """For how long a trainer with ``lines`` lines so far may write none: ten times as long as a line takes, within a minute and ten."""
    if last is None or not last.images_per_second:
        return _MOST_SILENT_SECONDS
    line_seconds = last.images / lines / last.images_per_second
    return min(max(_LEAST_SILENT_SECONDS, _SILENT_LINES * line_seconds), _MOST_SILENT_SECONDS)


def _written_at(run: Path) -> float:
    try:
        return (run / STATS).stat().st_mtime
    except OSError:
        return 0.0


def _lives(pid: int, locked_at: float) -> bool:
    """Whether the process lives, and is not a later one with the same number."""
    try:
        process = psutil.Process(pid)
        began_before: bool = process.create_time() < locked_at + _CLOCK_SECONDS
        return began_before and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OverflowError):
        return False
