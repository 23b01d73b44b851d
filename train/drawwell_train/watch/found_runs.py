"""The run folders below a folder."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from drawwell.errors import DrawwellError
from drawwell_train.run.run_files import CHECKPOINTS, STATS
from drawwell_train.watch.watched_run import WatchedRun

_DEPTH = 3
"""Folders between the given one and a run."""
_SEARCH_SECONDS = 3
"""Between two looks for new runs."""


class FoundRuns:
    """Finds runs, and keeps what was read of them.

    Raises:
        DrawwellError: there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DrawwellError(f"{root}: there is no such folder; name a run folder, or a folder that holds some")
        self.root = root
        self._lock = threading.Lock()
        self._runs: dict[str, WatchedRun] = {}
        self._searched_at = -float(_SEARCH_SECONDS)

    def all(self) -> list[WatchedRun]:
        """The runs that are there now, by name."""
        with self._lock:
            if time.monotonic() - self._searched_at >= _SEARCH_SECONDS:
                found = {identity(folder, self.root): folder for folder in _run_folders(self.root, _DEPTH)}
                known = self._runs
                self._runs = {name: known.get(name) or self._watched(name, folder) for name, folder in found.items()}
                self._searched_at = time.monotonic()
            return list(self._runs.values())

    def get(self, run_id: str) -> WatchedRun | None:
        """The run of an id; None if there is none."""
        return next((run for run in self.all() if run.id == run_id), None)

    def _watched(self, run_id: str, folder: Path) -> WatchedRun:
        name = folder.resolve().name if folder == self.root else folder.relative_to(self.root).as_posix()
        return WatchedRun(folder, run_id, name)


def identity(folder: Path, root: Path) -> str:
    """The id of a run: a hash of its path below ``root``, since a path may hold anything."""
    return hashlib.sha256(os.fsencode(folder.relative_to(root))).hexdigest()[:12]


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Folders with checkpoints or numbers. A run holds no runs; a folder that cannot be read holds none either."""
    if _is_folder(folder / CHECKPOINTS) or os.path.lexists(folder / STATS):
        yield folder
    elif depth:
        for name in _inner_folders(folder):
            yield from _run_folders(folder / name, depth - 1)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:  # nobody but its owner may look into the folder around it
        return False


def _inner_folders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.name[0] != "." and entry.is_dir())
    except OSError:
        return []
