"""The curves of a run for the card: thinned, so that the card stays small."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drawwell.files.history import MOST_POINTS, MOST_VALUE, Curve, TrainingHistory
from drawwell_train.monitor.conditions import D_FAKE_STD
from drawwell_train.run.run_files import STATS
from drawwell_train.run.run_folder import Run, RunError

_SIGNIFICANT_DIGITS = 4

Lines = Sequence[dict[str, Any]]


def history_of(run: Path, step: int) -> TrainingHistory:
    """Return the curves of a run folder up to ``step``. Raises ``RunError`` if its numbers are missing or damaged."""
    lines = [line for line in Run(run).stats() if line["step"] <= step]
    if not lines:
        raise RunError(f"{run / STATS}: is missing, or has no line up to step {step:,}")
    curves = {name: _curve(lines, name) for name in ("kid", "diversity", "d_real", "d_fake")}
    return TrainingHistory(**curves, gives_probabilities=any(D_FAKE_STD in line for line in lines))


def _curve(lines: Lines, name: str) -> Curve:
    points = [(line["step"], line[name]) for line in lines if name in line and abs(line[name]) <= MOST_VALUE]
    return tuple((step, float(f"{value:.{_SIGNIFICANT_DIGITS}g}")) for step, value in _thinned(points))


def _thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """At most ``MOST_POINTS`` of them at equal distances, the first and the last included."""
    if len(points) <= MOST_POINTS:
        return points
    return [points[round(place * (len(points) - 1) / (MOST_POINTS - 1))] for place in range(MOST_POINTS)]
