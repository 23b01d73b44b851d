"""What the process that trains tells the page: one JSON object a frame, complete in itself."""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from drawwell.formats.png import contact_sheet, to_png
from drawwell_train.play.curves import curves_of
from drawwell_train.play.session import Session
from drawwell_train.play.views import Numbers, Plot, Sheets
from drawwell_train.presets import CROSS_ENTROPIES
from drawwell_train.watch.elements import to_html


def frame(session: Session) -> str:
    """Return a session's state as one line of JSON. What is not finite is null."""
    view, numbers = session.view(), session.numbers()
    told: dict[str, Any] = {
        "running": session.running,
        "step": session.step,
        "pace": session.pace,
        "options": asdict(session.options),
        "lesson": session.lesson.title if session.lesson else None,
        "ended": session.ended,
        "sentence": session.sentence,
        "conditions": session.lines[-1].conditions if session.lines else [],
        "probabilities": session.options.loss in CROSS_ENTROPIES,
        "numbers": _finite(numbers),
        "plot": _plot(view) if isinstance(view, Plot) else None,
        "sheets": _sheets(view) if isinstance(view, Sheets) else None,
        "curves": to_html(curves_of(session.lines, session.options)),
    }
    return json.dumps(told, allow_nan=False)


def _plot(plot: Plot) -> dict[str, Any]:
    return {
        "real": _rounded(plot.real),
        "drawn": _rounded(plot.drawn),
        "surface": _bytes(plot.surface),
        "best": _bytes(plot.best),
    }


def _sheets(sheets: Sheets) -> dict[str, str]:
    """PNG in base64."""
    return {name: _base64(to_png(contact_sheet(images))) for name, images in sheets._asdict().items()}


def _finite(numbers: Numbers) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _rounded(points: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[round(x, 4) for x in point] for point in points if all(map(math.isfinite, point))]


def _bytes(values: Sequence[float]) -> str:
    """Numbers of [0, 1] as bytes, in base64; what is not finite is 1/2."""
    return _base64(bytes(round(255 * (v if math.isfinite(v) else 0.5)) for v in values))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
