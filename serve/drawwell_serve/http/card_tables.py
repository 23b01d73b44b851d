"""The model card as HTML: its facts as a list, its measures and its certificate as tables. Everything is escaped."""

import html
from collections.abc import Iterable, Mapping

from drawwell.files.certified import Certified
from drawwell.files.quality import ROWS, WORDS, Name, Quality

TABLED = {*ROWS, "Accuracies"}
"""The rows of a card in words that the tables show in figures."""


def definition_list(facts: Mapping[str, str]) -> str:
    """Return the facts as a description list."""
    rows = (f"<dt>{html.escape(name)}</dt><dd>{html.escape(fact)}</dd>" for name, fact in facts.items())
    return f"<dl>{''.join(rows)}</dl>"


def quality_table(quality: Quality | None) -> str:
    """Return the measures, each beside the score of real images in the same test; empty without measures."""
    if quality is None:
        return ""
    names = sorted(
        (name for name in WORDS if name in quality.measures), key=lambda name: [*ROWS].index(WORDS[name].row)
    )
    head = ("Measure", "Drawn images", "Real images", "Meaning")
    return _table(
        "Each measure, beside the score of real images in the same test",
        head,
        (_measure(quality, name) for name in names),
    )


def _measure(quality: Quality, name: Name) -> tuple[str, ...]:
    words, measure = WORDS[name], quality.measures[name]
    value, real = words.figures(measure)
    beside = real if words.beside == "real images" else f"{real} ({words.beside})"
    meaning = f"{words.meaning.format(images=f'{measure.images:,}')}. {ROWS[words.row]}"
    return _capital(words.label), value, beside, f"{_capital(meaning)}{_worst_class(quality, name)}"


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _worst_class(quality: Quality, name: Name) -> str:
    if (worst := quality.worst_class(name)) is None:
        return ""
    label, value, real = worst
    return f" Worst class: {label}, {value} (real images: {real})."


def certificate_table(certificate: Certified | None) -> str:
    """Return what drawn images add to real ones in training a classifier; empty without a certificate."""
    if certificate is None:
        return ""
    caption = (
        f"Accuracy on {certificate.test_images:,} images of {certificate.test}: mean ± standard deviation of "
        f"{certificate.classifiers} classifiers, each of which saw {certificate.images_seen:,} images. "
        f"With drawn images only: {certificate.drawn}."
    )
    rows = (
        (
            f"{row.real_images:,} ({100 * row.share:g} %)",
            str(row.real),
            str(row.both),
            f"{100 * (row.both.mean - row.real.mean):+.2f}",
            "yes" if row.helps else "no",
            f"{row.worst_class}, {100 * row.worst_class_gain:+.2f}",
        )
        for row in certificate.rows
    )
    head = ("Real images", "Real only", "Real + drawn", "Gain in points", "Drawn images help", "Worst class, points")
    return _table(caption, head, rows)


def _table(caption: str, head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    """A table whose rows are named by their first cell. It scrolls by itself where it is too wide, by keyboard too."""
    headings = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "".join(_row(*row) for row in rows)
    escaped = html.escape(caption)
    return (
        f'<div class="scroll" role="region" aria-label="{escaped}" tabindex="0"><table><caption>{escaped}</caption>'
        f"<thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(name: str, *cells: str) -> str:
    rest = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{html.escape(name)}</th>{rest}</tr>'
