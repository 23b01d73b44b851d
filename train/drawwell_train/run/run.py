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

from drawwell.atomic_files import remove_leftovers
from drawwell.errors import DrawwellError
from drawwell.files.card import UNREADABLE
from drawwell.formats.png import contact_sheet, to_png
from drawwell.generator import Images
from drawwell_train.config import TrainConfig
from drawwell_train.run import atomic_files as files
from drawwell_train.run.identity import to_dict


class RunError(DrawwellError):
    """The run folder cannot be used; the message says why."""


class Run:
    """Paths and records of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self._config, self._stats, self._lock = (path / name for name in ("config.json", "stats.jsonl", ".lock"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; raise ``RunError`` where another trainer does, or where something cannot be read or written.

        A folder that is made for this, and in which nothing is written after all, is removed.
        """
        try:
            made = not self.path.exists()
            (self.path / "samples").mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            for folder in (self.path, self.path / "samples", self.checkpoints):
                if not os.access(folder, os.W_OK | os.X_OK):  # now, and not when the first checkpoint is due
                    raise RunError(f"{folder}: cannot be written (it is read-only)")
            for file in (self._config, self._stats):
                if file.exists() and not file.is_file():
                    raise RunError(f"{file}: is a folder, a pipe or a device: move it away")
            with filelock.FileLock(self._lock, blocking=False):
                try:
                    files.overwrite(self._lock, f"{os.getpid()} {socket.gethostname()}\n".encode())
                    for folder in (self.path, self.path / "samples"):
                        remove_leftovers(folder)
                    yield
                finally:
                    if made and not any(path.is_file() for path in self.path.rglob("*") if path != self._lock):
                        shutil.rmtree(self.path)
        except filelock.Timeout as error:
            raise RunError(f"{self.path}: another training is running in this folder{self._holder()}") from error
        except OSError as error:
            raise RunError(f"{error.filename or self.path}: cannot be written ({error.strerror})") from error

    def _holder(self) -> str:
        """Who holds the folder, in words, as its lock says."""
        try:
            said = re.fullmatch(rb"(\d{1,20}) ([\w.-]{1,255})\n", files.read(self._lock))
        except OSError:  # it was released, or it is none that training made
            return ""
        return f": process {said[1].decode()} on {said[2].decode()}" if said else ""

    def write_config(self, config: TrainConfig) -> None:
        """Write ``config.json``, for people: a checkpoint carries its own."""
        files.write(self._config, (json.dumps(to_dict(config), indent=2) + "\n").encode())

    def truncate_stats(self, step: int) -> int:
        """Drop the lines past ``step``, which the run is about to write anew, and what is no line. Returns how many of these."""
        lines = self._lines()
        if not lines:
            return 0
        steps = [None if line is None else int(line["step"]) for line in map(_line_of, lines)]
        kept = (line for line, number in zip(lines, steps, strict=True) if number is not None and number <= step)
        files.write(self._stats, b"".join(kept))
        return steps[:-1].count(None)  # the last one may have been under way when the process ended

    def append_stats(self, line: dict[str, Any]) -> None:
        files.append(self._stats, (json.dumps(line, allow_nan=False) + "\n").encode())

    def stats(self) -> list[dict[str, Any]]:
        """The whole lines of ``stats.jsonl``, first to last. Raises ``RunError`` where it holds anything else."""
        lines = [line for line in self._lines() if line.endswith(b"\n")]
        read = [_line_of(line) for line in lines]
        if None in read:
            raise RunError(
                f"{self._stats}: holds a line that training did not write, line {read.index(None) + 1}: remove it"
            )
        return [line for line in read if line is not None]

    def _lines(self) -> list[bytes]:
        try:
            return files.read(self._stats).splitlines(keepends=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunError(f"{self._stats}: cannot be read ({error.strerror})") from error

    def sheets(self) -> list[Path]:
        """The sample sheets, the first step's first."""
        pictures = (self.path / "samples").glob("step-*.png")
        return sorted(path for path in pictures if path.stem.removeprefix("step-").isdecimal())

    def save_sheet(self, images: Images, step: int) -> Path:
        """Write uint8 ``[N, H, W, C]`` as ``samples/step-*.png``."""
        file = self.path / "samples" / f"step-{step:08d}.png"
        files.write(file, to_png(contact_sheet(images)))
        return file


def _line_of(line: bytes) -> dict[str, Any] | None:
    """A whole line of ``stats.jsonl``; None for what a lost disk or an editor made of one."""
    try:
        read = msgspec.json.decode(line, type=dict[str, int | float | list[str]])
    except UNREADABLE:
        return None
    lists = {name for name, value in read.items() if isinstance(value, list)}
    step = read.get("step")
    return read if line.endswith(b"\n") and isinstance(step, int) and step >= 0 and lists <= {"conditions"} else None
