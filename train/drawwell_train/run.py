"""The run folder: ``config.json``, ``stats.jsonl``, ``samples/``, ``checkpoints/``, and one trainer at a time."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
from PIL import Image

from drawwell.errors import DrawwellError
from drawwell.pictures import Images, contact_sheet, to_picture
from drawwell_train.config import TrainConfig, differences, from_json, to_json


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
        """Hold the folder; raise ``RunError`` where another trainer does, or where nothing can be written."""
        try:
            (self.path / "samples").mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            with filelock.FileLock(self.path / ".lock", blocking=False):
                yield
        except filelock.Timeout as error:
            raise RunError(f"{self.path}: another training is running in this folder") from error
        except PermissionError as error:
            raise RunError(f"{self.path}: cannot be written ({error.strerror}: {error.filename})") from error

    def begin(self, config: TrainConfig) -> None:
        """Write ``config.json``, or refuse options that do not continue what is there."""
        file = self.path / "config.json"
        begun = file.exists() and any(self.checkpoints.iterdir())
        if begun and (changed := differences(from_json(file.read_text()), config)):
            raise RunError(
                f"{self.path}: holds a run with other options ({'; '.join(changed)}): name another folder with --out"
            )
        _write_atomically(file, to_json(config))

    def truncate_stats(self, step: int) -> None:
        """Drop the lines past ``step``, which the run is about to write anew."""
        if self._stats.exists():
            lines = self._stats.read_text().splitlines(keepends=True)
            _write_atomically(
                self._stats, "".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step)
            )

    def append_stats(self, record: dict[str, float | int]) -> None:
        with self._stats.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def save_sheet(self, images: Images, step: int) -> Path:
        """Write uint8 ``[N, H, W, C]`` as ``samples/step-*.png``."""
        file = self.path / "samples" / f"step-{step:08d}.png"
        picture: Image.Image = to_picture(contact_sheet(images))
        picture.save(file)
        return file


def _write_atomically(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.writing")
    with temporary.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
