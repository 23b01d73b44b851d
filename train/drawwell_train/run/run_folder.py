"""The run folder: ``config.json``, ``stats.jsonl``, ``samples/``, ``checkpoints/``, and one trainer at a time."""

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import msgspec

from drawwell import atomic_files
from drawwell.errors import DrawwellError
from drawwell.files.card_json import UNREADABLE
from drawwell.formats.png import contact_sheet, to_png
from drawwell.generator import Images
from drawwell_train.config import TrainConfig
from drawwell_train.data import memory
from drawwell_train.run.identity import to_dict


class RunError(DrawwellError):
    """The run folder cannot be used; the message says why."""


class Run:
    """Paths and files of one run."""

    def __init__(self, path: Path) -> None:
        """``path`` need not exist yet."""
        self.path = path
        self.checkpoints = path / "checkpoints"
        self._config, self._stats, self._lock = (path / name for name in ("config.json", "stats.jsonl", ".lock"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and lock it. If nothing is written into a new folder, it is removed at the end.

        Raises:
            RunError: another training holds the lock, or something cannot be read or written.
        """
        try:
            self._check_ours()
            made = not self.path.exists()
            (self.path / "samples").mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            for folder in (self.path, self.path / "samples", self.checkpoints):
                # checked now, and not when the first checkpoint is due
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise RunError(f"{folder}: cannot be written (it is read-only)")
            for file in (self._config, self._stats):
                if file.exists() and not file.is_file():
                    raise RunError(f"{file}: is a folder, a pipe or a device: move it away")
            with filelock.FileLock(self._lock, blocking=False):
                try:
                    atomic_files.overwrite(self._lock, f"{os.getpid()} {socket.gethostname()}\n".encode())
                    for folder in (self.path, self.path / "samples"):
                        atomic_files.remove_leftovers(folder)
                    yield
                finally:
                    if made and not any(path.is_file() for path in self.path.rglob("*") if path != self._lock):
                        shutil.rmtree(self.path)
        except filelock.Timeout as error:
            raise RunError(f"{self.path}: another training is running in this folder{self._holder()}") from error
        except OSError as error:
            raise RunError(f"{error.filename or self.path}: cannot be written ({error.strerror})") from error

    def _check_ours(self) -> None:
        """A folder of pictures, or of anything else, is no place for a run."""
        if not self.path.is_dir() or self.checkpoints.exists():
            return
        ours = {"samples", self._config.name, self._stats.name}
        if other := next((path for path in self.path.iterdir() if path.name not in ours and path.name[0] != "."), None):
            raise RunError(f"{self.path}: holds {other.name!r} and no run: name another folder with --out")

    def _holder(self) -> str:
        """Process and host that hold the lock, for a sentence; empty if the file does not say."""
        try:
            holder = re.fullmatch(rb"(\d{1,20}) ([\w.-]{1,255})\n", atomic_files.read(self._lock, memory.free()))
        except OSError:  # released meanwhile, or not a file of a training
            return ""
        return f": process {holder[1].decode()} on {holder[2].decode()}" if holder else ""

    def write_config(self, config: TrainConfig) -> None:
        """Write ``config.json``, for people to read: each checkpoint has its own configuration. Raises ``WriteError``."""
        atomic_files.write(self._config, (json.dumps(to_dict(config), indent=2) + "\n").encode())

    def truncate_stats(self, step: int) -> int:
        """Remove the lines after ``step``, which the run writes again, and damaged lines. Returns the number of damaged lines."""
        lines = self._lines()
        if not lines:
            return 0
        steps = [None if line is None else int(line["step"]) for line in map(_line_of, lines)]
        kept = (line for line, number in zip(lines, steps, strict=True) if number is not None and number <= step)
        atomic_files.write(self._stats, b"".join(kept))
        return steps[:-1].count(None)  # without the last one, which a killed process may leave half written

    def append_stats(self, line: dict[str, Any]) -> None:
        """Add a line to ``stats.jsonl``. Raises ``WriteError``."""
        atomic_files.append(self._stats, (json.dumps(line, allow_nan=False) + "\n").encode())

    def stats(self) -> list[dict[str, Any]]:
        """The lines of ``stats.jsonl``, first to last. Raises ``RunError`` if it holds anything else."""
        lines = [line for line in self._lines() if line.endswith(b"\n")]
        read = [_line_of(line) for line in lines]
        if None in read:
            raise RunError(
                f"{self._stats}: holds a line that training did not write, line {read.index(None) + 1}: remove it"
            )
        return [line for line in read if line is not None]

    def _lines(self) -> list[bytes]:
        try:
            return atomic_files.read(self._stats, memory.free()).splitlines(keepends=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunError(f"{self._stats}: cannot be read ({error.strerror})") from error

    def sheets(self) -> list[Path]:
        """The sample sheets, by step."""
        pictures = (self.path / "samples").glob("step-*.png")
        return sorted(path for path in pictures if path.stem.removeprefix("step-").isdecimal())

    def save_sheet(self, images: Images, step: int) -> Path:
        """Write images uint8 ``[N, H, W, C]`` as one sheet, ``samples/step-*.png``. Returns its path; raises ``WriteError``."""
        file = self.path / "samples" / f"step-{step:08d}.png"
        atomic_files.write(file, to_png(contact_sheet(images)))
        return file


def _line_of(line: bytes) -> dict[str, Any] | None:
    """A line of ``stats.jsonl`` as a dictionary; None if it is damaged."""
    try:
        read = msgspec.json.decode(line, type=dict[str, int | float | list[str]])
    except UNREADABLE:
        return None
    lists = {name for name, value in read.items() if isinstance(value, list)}
    step = read.get("step")
    return read if line.endswith(b"\n") and isinstance(step, int) and step >= 0 and lists <= {"conditions"} else None
