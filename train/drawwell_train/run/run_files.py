"""The files of a run folder and what stands in them, for training, which writes them, and for commands that only read.

It imports no torch.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from drawwell.files.card_json import UNREADABLE

CONFIG, STATS, LOCK, SAMPLES, CHECKPOINTS = "config.json", "stats.jsonl", ".lock", "samples", "checkpoints"

Line = dict[str, Any]


class Holder(NamedTuple):
    """The process that holds the lock of a run folder, and its host."""

    pid: int
    host: str


def line_of(line: bytes) -> Line | None:
    """A line of ``stats.jsonl`` as a dictionary; None if it is damaged."""
    try:
        read = msgspec.json.decode(line, type=dict[str, int | float | list[str]])
    except UNREADABLE:
        return None
    lists = {name for name, value in read.items() if isinstance(value, list)}
    step = read.get("step")
    return read if line.endswith(b"\n") and isinstance(step, int) and step >= 0 and lists <= {"conditions"} else None


def holder_of(lock: bytes) -> Holder | None:
    """Who wrote ``.lock``, the last training in the folder; None if it does not say."""
    written = re.fullmatch(rb"(\d{1,20}) ([\w.-]{1,255})\n", lock)
    return Holder(int(written[1]), written[2].decode()) if written else None


def sheet_name(step: int) -> str:
    """The name of the sample sheet of a step."""
    return f"step-{step:08d}.png"


def sheets_in(run: Path) -> list[Path]:
    """The sample sheets of a run folder, by step."""
    pictures = (run / SAMPLES).glob("step-*.png")
    return sorted(path for path in pictures if path.stem.removeprefix("step-").isdecimal())
