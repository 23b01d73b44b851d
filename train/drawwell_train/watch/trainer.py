"""Whether a training is writing a run folder now, without touching its lock: a trainer that starts must find it free."""

import socket
import time
from pathlib import Path

import psutil

from drawwell import atomic_files
from drawwell_train.run.run_files import LOCK, STATS, holder_of

_SILENT_SECONDS = 600
"""A process of another host cannot be asked: it counts as training until it has written no line for so long."""
_CLOCK_SECONDS = 60
"""The clock of processes and that of files may differ by so much."""
_MOST_BYTES = 1000


def is_training(run: Path) -> bool:
    """Return whether the process that ``.lock`` names is still at work."""
    try:
        holder = holder_of(atomic_files.read(run / LOCK, _MOST_BYTES))
        locked_at = (run / LOCK).stat().st_mtime
    except OSError:
        return False
    if holder is None:
        return False
    if holder.host != socket.gethostname():
        return time.time() - _written_at(run) < _SILENT_SECONDS
    return _lives(holder.pid, locked_at)


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
