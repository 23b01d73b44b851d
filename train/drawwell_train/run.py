"""The run folder: ``config.json``, ``stats.jsonl``, ``samples/``, ``checkpoints/``, and one trainer at a time."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from drawwell.errors import DrawwellError
from drawwell.pictures import Images, contact_sheet, to_png
from drawwell_train import files
from drawwell_train.config import TrainConfig
from drawwell_train.identity import to_dict


class RunError(DrawwellError):
    """The run folder cannot be used; the message says why."""


class Run:
    """Paths and records of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self._stats = path / "stats.jsonl"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; raise ``RunError`` where another trainer does, or where something cannot be written."""
        try:
            (self.path / "samples").mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            for folder in (self.path, self.path / "samples", self.checkpoints):
                if not os.access(folder, os.W_OK | os.X_OK):  # now, and not when the first checkpoint is due
                    raise RunError(f"{folder}: cannot be written (it is read-only)")
            with filelock.FileLock(self.path / ".lock", blocking=False):
                yield
        except filelock.Timeout as error:
            raise RunError(f"{self.path}: another training is running in this folder") from error
        except OSError as error:
            raise RunError(f"{error.filename or self.path}: cannot be written ({error.strerror})") from error

    def write_config(self, config: TrainConfig) -> None:
        """Write ``config.json``, for people: a checkpoint carries its own."""
        files.write(self.path / "config.json", (json.dumps(to_dict(config), indent=2) + "\n").encode())

    def truncate_stats(self, step: int) -> int:
        """Drop the lines past ``step``, which the run is about to write anew, and what is no line. Returns how many of these."""
        if not self._stats.exists():
            return 0
        lines = self._stats.read_bytes().splitlines(keepends=True)
        steps = [_step_of(line) for line in lines]
        kept = (line for line, number in zip(lines, steps, strict=True) if number is not None and number <= step)
        files.write(self._stats, b"".join(kept))
        return steps[:-1].count(None)  # the last one may have been under way when the process ended

    def append_stats(self, line: dict[str, Any]) -> None:
        files.append(self._stats, (json.dumps(line, allow_nan=False) + "\n").encode())

    def stats(self) -> list[dict[str, Any]]:
        """The whole lines of ``stats.jsonl``, first to last. Raises ``RunError`` where it holds anything else."""
        lines = self._stats.read_text().splitlines(keepends=True) if self._stats.exists() else []
        try:
            return [json.loads(line) for line in lines if line.endswith("\n")]
        except ValueError as error:
            raise RunError(f"{self._stats}: holds a line that training did not write ({error})") from error

    def sheets(self) -> list[Path]:
        """The sample sheets, the first step's first."""
        pictures = (self.path / "samples").glob("step-*.png")
        return sorted(path for path in pictures if path.stem.removeprefix("step-").isdigit())

    def save_sheet(self, images: Images, step: int) -> Path:
        """Write uint8 ``[N, H, W, C]`` as ``samples/step-*.png``."""
        file = self.path / "samples" / f"step-{step:08d}.png"
        files.write(file, to_png(contact_sheet(images)))
        return file


def _step_of(line: bytes) -> int | None:
    """The step of a whole line of ``stats.jsonl``, None of what a lost disk or an editor made of one."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, LookupError, TypeError):
        return None
    return step if isinstance(step, int) and line.endswith(b"\n") else None
