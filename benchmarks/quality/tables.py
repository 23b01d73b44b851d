"""The tables of docs/reports/quality.md, written from ``results/quality.json``."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.pages import REPORTS, replace_section
from benchmarks.quality import results
from benchmarks.quality.experiments import experiments
from benchmarks.quality.results import Entry

PAGE = REPORTS / "quality.md"

_NAMES = {
    "kid": "1,000 x KID",
    "frechet_distance": "Frechet",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "class_recall": "recall within classes",
    "class_kl": "class KL",
    "gan_train_fresh": "GAN-train, fresh images",
    "gan_train_accuracy": "GAN-train, as many as real ones",
    "gan_test_accuracy": "GAN-test",
    "copying": "copying",
    "modes": "modes",
    "modes_kl": "KL",
}


_DISTANCES = "kid", "frechet_distance", "precision", "recall", "density", "coverage"
_CLASSIFIED = "class_recall", "class_kl", "gan_train_fresh", "gan_train_accuracy", "gan_test_accuracy"
_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bundled": (("fashion", "emoji"), (*_DISTANCES, *_CLASSIFIED, "copying")),
    "stacked": (("stacked-",), ("modes", "modes_kl")),
    "cifar": (("cifar",), ("kid", "frechet_distance", "precision", "recall", *_CLASSIFIED)),
}
"""Of each table the experiments, by how their names begin, and the measures."""


def update() -> None:
    """Write every table whose experiments have results, between its marks."""
    known = results.read_all()
    for table, (names, measures) in _TABLES.items():
        rows = {one.name: known[one.name] for one in experiments() if one.name.startswith(names) and one.name in known}
        if rows:
            show(table, measured_table(rows, measures))
    if plain := [entry for name, entry in sorted(known.items()) if name.startswith("plain-")]:
        show("plain", plain_table(plain))


def measured_table(rows: Mapping[str, Entry], measures: Sequence[str]) -> str:
    """A row for each run, each figure with that of real images in brackets; below it how they were taken, and the sheets."""
    measures = [name for name in measures if any(name in row["quality"]["measures"] for row in rows.values())]
    lines = [
        f"| | images seen | training | {' | '.join(_NAMES[name] for name in measures)} |",
        "|---" * (3 + len(measures)) + "|",
    ]
    for row in rows.values():
        cells = [_cell(name, row["quality"]) for name in measures]
        seen, minutes = f"{row['images_seen']:,}", f"{row['training_seconds'] / 60:.1f} min"
        if row["measured_step"] < row["steps"]:
            seen += f" (the best of those up to step {row['steps']:,}: step {row['measured_step']:,})"
        lines.append(f"| {row['title']} | {seen} | {minutes} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_protocols(rows), "", *_commands(rows), "", *_sheets(rows)]) + "\n"


def _protocols(rows: Mapping[str, Entry]) -> list[str]:
    """What each was measured with, said once of rows that share it."""
    sharing: dict[str, list[str]] = {}
    for row in rows.values():
        quality = row["quality"]
        counts = sorted({measure["images"] for measure in quality["measures"].values()})
        text = (
            f"{' to '.join(f'{count:,}' for count in dict.fromkeys((counts[0], counts[-1])))} drawn images of seed {quality['seed']}, "
            f"beside {quality['reference']}; in brackets {quality['floor']}; {quality['extractor']}."
        )
        sharing.setdefault(text, []).append(row["title"])
    return [f"- {text}" if len(sharing) == 1 else f"- {', '.join(names)}: {text}" for text, names in sharing.items()]


def _commands(rows: Mapping[str, Entry]) -> list[str]:
    lines = [f"{row['command']}    # {row['commit']}, {row['measuring_seconds']} s to measure" for row in rows.values()]
    return ["<details><summary>Commands</summary>", "", "```sh", *lines, "```", "", "</details>"]


def _sheets(rows: Mapping[str, Entry]) -> list[str]:
    shown = [name for name in rows if not re.search(r"-seed[1-9]", name)]  # other seeds look alike
    return [f"{rows[name]['title']}:\n\n![images of {name}](../sheets/{name}.png)\n" for name in shown]


def _cell(name: str, quality: Mapping[str, Any]) -> str:
    """The figure with that of real images in brackets, and the worst class where classes were measured one by one."""
    if (measure := quality["measures"].get(name)) is None:
        return ""
    classes = quality.get("by_class", {}).get(name)  # entries of an earlier version have none
    if not classes:
        return _figures(name, measure)
    worst = min(classes, key=lambda one: float(classes[one]["value"]))
    return f"{_figures(name, measure)}; worst {worst}: {_figures(name, classes[worst])}"


def _figures(name: str, measure: Mapping[str, float | None]) -> str:
    told = name in _OF_CLASSIFIERS
    value, real = (
        _TEXT.get(name, _percent)(measure[what] or 0.0) + (_deviation(measure.get(spread)) if told else "")
        for what, spread in (("value", "spread"), ("real", "real_spread"))
    )
    return f"{value} ({real})"


def _deviation(spread: float | None) -> str:
    return "" if spread is None else f" ± {_percent(spread)}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


_OF_CLASSIFIERS = "gan_train_fresh", "gan_train_accuracy", "gan_test_accuracy"
"""Means over classifiers, told with their standard deviation."""
_TEXT: dict[str, Callable[[float], str]] = {
    "kid": lambda value: f"{1000 * value:.1f}",
    "frechet_distance": lambda value: f"{value:.1f}",
    "class_kl": lambda value: f"{value:.4f}",
    "modes": lambda value: f"{value:,.0f}",
    "modes_kl": lambda value: f"{value:.3f}",
    "density": lambda value: f"{value:.2f}",
}


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
