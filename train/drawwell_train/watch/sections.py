"""The parts of the pages. Those that are live are sent again when they have changed."""

from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

from drawwell_train.watch import charts
from drawwell_train.watch.bands import NAMES
from drawwell_train.watch.charts import Chart
from drawwell_train.watch.elements import element, live
from drawwell_train.watch.options_table import differences, options_of
from drawwell_train.watch.panels import charts_of, compared
from drawwell_train.watch.sample_sheets import sample_sheets
from drawwell_train.watch.snapshot import Snapshot
from drawwell_train.watch.status import problems, status
from drawwell_train.watch.timeline import conditions_of

PLOT = "plot-"
"""Begins the ids of plots."""


def of_run(run: Snapshot) -> list[Element]:
    """All about one run."""
    shown = [live("section", "status", *problems(run), status(run))]
    if run.state == "unreadable":
        return shown
    return [
        *shown,
        _curves([run], charts_of(run)),
        sample_sheets([run]),
        live("section", "conditions", element("h2", "Conditions"), *conditions_of(run)),
        live("section", "options", element("h2", "Options"), options_of(run)),
    ]


def of_two(runs: Sequence[Snapshot]) -> list[Element]:
    """Two runs beside each other."""
    return [
        live("section", "status", _side_by_side(runs, lambda run: [*problems(run), status(run)])),
        _curves(runs, compared(runs)),
        sample_sheets(runs),
        live("section", "conditions", element("h2", "Conditions"), _side_by_side(runs, conditions_of)),
        live("section", "options", element("h2", "Options that differ"), differences(runs)),
    ]


def live_parts(sections: Sequence[Element]) -> dict[str, Element]:
    """The live parts by their ids."""
    return {part.attrib["id"]: part for section in sections for part in section.iter() if "data-live" in part.attrib}


def _side_by_side(runs: Sequence[Snapshot], parts: Callable[[Snapshot], list[Element]]) -> Element:
    return element(
        "div", *(element("div", _title(run, place), *parts(run)) for place, run in enumerate(runs)), class_="two"
    )


def _title(run: Snapshot, place: int) -> Element:
    return element(
        "h2", element("span", class_=f"swatch c{place}"), element("a", run.name, href=run.path), class_="run"
    )


def _curves(runs: Sequence[Snapshot], drawn: Sequence[Chart]) -> Element:
    figures = element("div", *map(_figure, drawn), class_="charts compared" if len(runs) > 1 else "charts")
    return element("section", element("h2", "Curves"), _thinned(runs), _shades(runs), figures, id="curves")


def _figure(chart: Chart) -> Element:
    caption = live("figcaption", f"caption-{chart.id}", *charts.caption(chart))
    return element("figure", caption, live("div", f"{PLOT}{chart.id}", charts.plot(chart)), class_="chart")


def _shades(runs: Sequence[Snapshot]) -> Element:
    """What the shaded steps are. Curves of two runs are not shaded."""
    colours = sorted({band.colour for band in runs[0].bands}) if len(runs) == 1 else []
    if not colours:
        return live("p", "shades")
    names = (element("span", NAMES[colour], class_=f"condition k{colour}") for colour in colours)
    return live("p", "shades", "Shaded while a condition was active: ", *names, class_="soft")


def _thinned(runs: Sequence[Snapshot]) -> Element:
    longest = max(runs, key=lambda run: run.bucket)
    if longest.bucket == 1:
        return live("p", "thinned")
    words = f"{longest.name} has {longest.lines:,} lines. The curves show the lowest and the highest of every {longest.bucket:,}."
    return live("p", "thinned", words, class_="soft")
