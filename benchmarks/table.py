"""The README's table of the engine, written from ``results/engine-cpu.json``: no figure is copied by hand."""

import json
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

README = Path(__file__).parents[1] / "README.md"

_BEGIN, _END = "<!-- from benchmarks/results/engine-cpu.json -->\n", "<!-- end -->"
_ROWS = {"plain": "plain export", "portable": "`portable`", "cpu": "`cpu`", "cpu-int8": "`cpu-int8`"}
_MODELS = {
    "dcgan64": "DCGAN, 64 px, colour (512, 256, 128, 64 channels)",
    "small": "small, 32 px, colour (256, 128, 64 channels)",
    "fashion": "`fashion`, 28 px, grey (128, 64 channels)",
}


def update() -> None:
    """Write the table into the README, between its two marks."""
    before, rest = README.read_text().split(_BEGIN)
    README.write_text(before + _BEGIN + engine_table() + _END + rest.split(_END, 1)[1])


def engine_table() -> str:
    """Images a second, and how many times plain's."""
    models = json.loads((RESULTS / "engine-cpu.json").read_text())["models"]
    lines = ["| images a second, by images at once | 1 | 16 | 64 |", "|---|---|---|---|"]
    for name in models:
        lines += [f"| **{_MODELS[name]}** | | | |", *(_row(models[name], row) for row in _ROWS)]
    return "\n".join(lines) + "\n"


def _row(model: dict[str, Any], row: str) -> str:
    cells = [
        f"{figures[row]['median']:,.0f}"
        + (f" ({model['against_plain'][batch][row]['median']:.2f}x)" if row != "plain" else "")
        for batch, figures in model["images_a_second"].items()
    ]
    return f"| {_ROWS[row]} | {' | '.join(cells)} |"
