"""The tables of docs/reports/precision.md, written from ``results/precision.json`` and from the cards of the bundled generators."""

import json
import re
from collections.abc import Mapping
from typing import Any

from benchmarks.pages import REPORTS, replace_section
from benchmarks.report import RESULTS
from drawwell.files.generator_file import read_generator
from drawwell.opening import bundled, find_file

RESULT = RESULTS / "precision.json"
PAGE = REPORTS / "precision.md"
REORDERED = "the first layer adds in another order"


def update() -> None:
    """Write both tables into the page."""
    replace_section(PAGE, "distances", "benchmarks/results/precision.json", distances())
    replace_section(PAGE, "cards", "the cards", parities())


def digests() -> dict[str, str]:
    """Of the bundled generators, by name."""
    return {name: read_generator(find_file(name)).digest for name in bundled()}


def distances() -> str:
    """A row for each difference from the machine that saved the images, a column for each bundled generator that was drawn there."""
    entries = json.loads(RESULT.read_text())
    names = [name for name in bundled() if any(name in entry["levels"] for entry in entries.values())]
    lines = [
        f"| difference | latents | {' | '.join(f'`{name}`' for name in names)} |",
        "|---" * (len(names) + 2) + "|",
    ]
    for what, entry in entries.items():
        cells = (_cell(entry["levels"].get(name)) for name in ("latents", *names))
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(seen: Mapping[str, Any] | None) -> str:
    if seen is None:
        return "not measured"
    if not seen.get("max", 1):
        return "equal"
    if "refused" in seen:
        known = re.search(r"(\d+) of its (\d+) known answers", seen["refused"])
        return f"refused: {known[1]} of {known[2]} known images differ" if known else "refused"
    levels = "1 level" if seen["max"] == 1 else f"up to {seen['max']:.0f} levels"
    return f"{100 * seen['differing_images']:.2f} % of the images, by {levels}"


def parities() -> str:
    """The differences of each bundled file from torch's pixels, in levels of 255, as its card has them."""
    lines = [
        "| file | target | images | mean | 99% of values | all values | Frechet distance (torch's own images) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in bundled():
        card = read_generator(find_file(name)).card
        parity, distance = card.parity, card.parity.feature_distance
        features = "" if distance is None else f"{distance.drawn:.2e} ({distance.floor:.2e})"
        levels = f"{parity.mean_levels:.2f} | at most {parity.p99_levels} | at most {parity.max_levels}"
        lines.append(f"| `{name}` | `{card.target}` | {parity.addresses:,} | {levels} | {features} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    update()
