"""The tables of docs/reports/quality.md, written from ``results/quality.json``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.pages import REPORTS, replace_section
from benchmarks.quality import results
from benchmarks.quality.experiments import experiments
from benchmarks.quality.results import Entry
from drawwell.files.quality import WORDS, Measure, Name

PAGE = REPORTS / "quality.md"

_Names = tuple[Name, ...]

_DISTANCES: _Names = "kid", "frechet_distance", "precision", "recall", "density", "coverage"
_CLASSIFIED: _Names = "class_recall", "class_kl", "gan_train_fresh", "gan_train_accuracy", "gan_test_accuracy"
_BUNDLED = r"fashion|fashion-mixture|emoji"
_TABLES: dict[str, tuple[str, _Names]] = {
    "bundled": (_BUNDLED, (*_DISTANCES, *_CLASSIFIED, "copying")),
    "stacked": (r"stacked-.*", ("modes", "modes_kl")),
    "cifar": (r"cifar.*", ("kid", "frechet_distance", "precision", "recall", *_CLASSIFIED)),
}
"""For each table, a pattern of its experiments' names, and its measures."""


def update() -> None:
    """Write every table whose experiments have results, between its marks."""
    known = results.read_all()
    for table, (names, measures) in _TABLES.items():
        shown = [one.name for one in experiments() if one.name in known and re.fullmatch(names, one.name)]
        rows = {name: known[name] for name in shown}
        if rows:
            show(table, measured_table(rows, measures))
    if plain := [entry for name, entry in sorted(known.items()) if name.startswith("plain-")]:
        show("plain", plain_table(plain))


def measured_table(rows: Mapping[str, Entry], measures: Sequence[Name]) -> str:
    """A row for each run, each score with the score of real images in brackets; below it the protocol, the commands and the sheets."""
    measures = [name for name in measures if any(name in row["quality"]["measures"] for row in rows.values())]
    lines = [
        f"| | images seen | training | {' | '.join(WORDS[name].label for name in measures)} |",
        "|---" * (3 + len(measures)) + "|",
    ]
    for row in rows.values():
        cells = [_cell(name, row["quality"]) for name in measures]
        seen, seconds = f"{row['images_seen']:,}", row["training_seconds"]
        minutes = "" if seconds is None else f"{seconds / 60:.1f} min"
        if row["measured_step"] < row["steps"]:
            seen += f" (best checkpoint: step {row['measured_step']:,} of {row['steps']:,})"
        lines.append(f"| {row['title']} | {seen} | {minutes} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_protocols(rows), "", *_commands(rows), "", *_sheets(rows)]) + "\n"


def _protocols(rows: Mapping[str, Entry]) -> list[str]:
    """The protocol of each row, once for all rows that share it."""
    sharing: dict[str, list[str]] = {}
    for row in rows.values():
        quality = row["quality"]
        counts = sorted({measure["images"] for measure in quality["measures"].values()})
        text = (
            f"{' to '.join(f'{count:,}' for count in dict.fromkeys((counts[0], counts[-1])))} generated images of seed {quality['seed']} "
            f"are compared with {quality['reference']}. In brackets: the score of {quality['floor']} in the same test. "
            f"Measured with {quality['extractor']}."
        )
        sharing.setdefault(text, []).append(row["title"])
    return [f"- {text}" if len(sharing) == 1 else f"- {'; '.join(names)}: {text}" for text, names in sharing.items()]


def _commands(rows: Mapping[str, Entry]) -> list[str]:
    lines = [f"{row['command']}    # {row['commit']}, {row['measuring_seconds']} s to measure" for row in rows.values()]
    return ["<details><summary>Commands</summary>", "", "```sh", *lines, "```", "", "</details>"]


def _sheets(rows: Mapping[str, Entry]) -> list[str]:
    shown = [name for name in rows if not re.search(r"-seed[1-9]", name)]  # other seeds look alike
    return [f"{rows[name]['title']}:\n\n![images of {name}](../sheets/{name}.png)\n" for name in shown]


def _cell(name: Name, quality: Mapping[str, Any]) -> str:
    """The score with the score of real images in brackets, and the worst class where classes were measured one by one."""
    if (measure := quality["measures"].get(name)) is None:
        return ""
    classes = quality.get("by_class", {}).get(name)  # entries of an earlier version have none
    if not classes:
        return _figures(name, measure)
    worst = min(classes, key=lambda one: float(classes[one]["value"]))
    return f"{_figures(name, measure)}; worst {worst}: {_figures(name, classes[worst])}"


def _figures(name: Name, measure: Mapping[str, Any]) -> str:
    value, real = WORDS[name].figures(Measure(**measure))
    return f"{value} ({real})"


def plain_table(rows: Iterable[Entry]) -> str:
    """A row for each seed."""
    lines = [
        "| seed | minutes | images seen, plain / drawwell | 1,000 x KID, plain / drawwell (real images) | ratio |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        plain = min(one["kid"] for one in row["plain"].values())
        lines.append(
            f"| {row['seed']} | {row['seconds'] / 60:.0f} | {row['plain_images_seen']:,} / {row['drawwell_images_seen']:,} "
            f"| {1000 * plain:.1f} / {1000 * row['drawwell']['kid']:.1f} ({1000 * row['real']:.1f}) | {row['ratio']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def show(table: str, text: str, source: str = "quality.json") -> None:
    """Put ``text`` into the page as one of its tables; ``source`` is the file in ``results/`` that it is made from."""
    replace_section(PAGE, table, f"benchmarks/results/{source}", text)


if __name__ == "__main__":
    update()
