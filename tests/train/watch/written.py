"""Run folders as training writes them, without a training: its lines, options and sample sheets."""

import json
import math
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from drawwell.formats.png import contact_sheet, to_png
from drawwell_train.monitor.conditions import OSCILLATION
from drawwell_train.run.identity import to_dict
from drawwell_train.run.run_files import CHECKPOINTS, CONFIG, LOCK, SAMPLES, STATS, sheet_name
from tests.train.configs import configured

Line = dict[str, Any]


def line(step: int, conditions: tuple[str, ...] = (), **more: float) -> Line:
    """A line that differs from those before and after it as in a training."""
    wave, fall = math.sin(step / 170), math.exp(-step / 900)
    numbers = {
        "images_per_second": 500 + 30 * wave,
        "loss_d": 0.6 + 0.5 * fall + 0.05 * wave,
        "gradient_d": 12 + 6 * wave,
        "d_real": 0.65 + 0.25 * fall,
        "d_fake": 0.35 - 0.25 * fall + 0.03 * wave,
        "accuracy_d": 0.7 + 0.25 * fall,
        "loss_g": 2 + 3 * fall + 0.2 * wave,
        "gradient_g": 20 + 12 * wave,
        "swing": 0.05,
        "value": -1.3 + 0.9 * fall + 0.05 * wave,
        "jsd": 0.04 + 0.4 * fall,
        "diversity": 0.95 + 0.05 * wave,
    }
    return {"step": step, "images": 64 * step, **numbers, **more, "conditions": list(conditions)}


def lines(steps: int, every: int = 50) -> list[Line]:
    """Lines of a run that oscillates for a time, and measures KID now and then."""
    first, last = 0.4 * steps, 0.6 * steps
    return [
        line(
            step,
            (OSCILLATION,) if first <= step < last else (),
            **({"swing": 0.2} if first <= step < last else {}),
            **({"kid": 0.02 + 0.1 * math.exp(-step / 1500)} if step % (steps // 5) == 0 else {}),
        )
        for step in range(every, steps + 1, every)
    ]


def write_run(path: Path, rows: Iterable[Line], sheets: Iterable[int] = (), **options: Any) -> Path:
    """Write a run folder. ``options`` are of its configuration."""
    for name in (SAMPLES, CHECKPOINTS):
        (path / name).mkdir(parents=True, exist_ok=True)
    (path / CONFIG).write_text(json.dumps(to_dict(configured(out=path, **options)), indent=2))
    (path / STATS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    for step in sheets:
        shades = np.linspace(step % 200, 255, 64 * 28 * 28 * 3).reshape(64, 28, 28, 3).astype(np.uint8)
        (path / SAMPLES / sheet_name(step)).write_bytes(to_png(contact_sheet(shades)))
    return path


def append(path: Path, text: str) -> None:
    """Add text to the lines of a run, as a training does."""
    with (path / STATS).open("a") as stream:
        stream.write(text)


def hold(path: Path, pid: int | None = None, host: str | None = None) -> None:
    """Write the lock of a training, by default of this process."""
    (path / LOCK).write_text(f"{os.getpid() if pid is None else pid} {host or socket.gethostname()}\n")
