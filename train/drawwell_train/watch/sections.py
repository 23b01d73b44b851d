"""The parts of the pages, each of which is sent again when it has changed."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from drawwell_train.watch import charts
from drawwell_train.watch.elements import element
from drawwell_train.watch.history import Change
from drawwell_train.watch.panels import charts_of, colour_of, compared
from drawwell_train.watch.timeline import lanes
from drawwell_train.watch.watched_run import Snapshot, State
from drawwell_train.watch.words import duration, number

_STATES: dict[State, str] = {
    "starting": "starting: no line yet",
    "training": "training",
    "finished": "finished",
    "stopped": "stopped",
    "diverged": "stopped: NaN",
    "empty": "no line yet",
}
_SHOWN_SENTENCES = 6
"""The others are folded."""

Sections = dict[str, Element]
"""By the ``id`` of the element in the page."""


def of_list(runs: Sequence[Snapshot]) -> Sections:
    """The list of runs: those that are training first, then the last written."""
    if not runs:
        hint = "There is no run in this folder yet. It appears here when `drawwell train` has begun one."
        return {"runs": _section("runs", element("p", hint, class_="absent"))}
    names = ("Compare", "Run", "State", "Step", "Images/s", "Time left", "Last condition")
    head = element("thead", _row(element("th", name, scope="col") for name in names))
    ordered = sorted(runs, key=lambda run: (run.state not in ("training", "starting"), -run.written_at, run.name))
    body = element("tbody", *map(_run_row, ordered))
    return {"runs": _section("runs", element("table", head, body, class_="runs"))}


def of_run(run: Snapshot) -> Sections:
    """All about one run."""
    return {
        "status": _section("status", *_problems(run), _status(run)),
        "curves": _section(
            "curves", element("h2", "Curves"), *_thinned([run]), _grid(map(charts.draw, charts_of(run)))
        ),
        "sheets": _sheets([run]),
        "conditions": _section("conditions", element("h2", "Conditions"), *_conditions(run)),
        "options": _section("options", element("h2", "Options"), _options(run.config)),
    }


def of_two(runs: Sequence[Snapshot]) -> Sections:
    """Two runs beside each other."""
    titled: list[Callable[[Snapshot], list[Element]]] = [
        lambda run: [*_problems(run), _status(run)],
        lambda run: list(_conditions(run)),
    ]
    status, conditions = (
        [element("div", _run_title(run, place), *parts(run)) for place, run in enumerate(runs)] for parts in titled
    )
    return {
        "status": _section("status", element("div", *status, class_="two")),
        "curves": _section("curves", element("h2", "Curves"), *_thinned(runs), _grid(map(charts.draw, compared(runs)))),
        "sheets": _sheets(runs),
        "conditions": _section("conditions", element("h2", "Conditions"), element("div", *conditions, class_="two")),
        "options": _section("options", element("h2", "Options that differ"), *_differences(runs)),
    }


def address(run: Snapshot) -> str:
    """The path of a run's page."""
    return f"/runs/{run.id}"


def _section(name: str, *content: Element) -> Element:
    return element("section", *content, id=name)


def _row(cells: Any) -> Element:
    return element("tr", *cells)


def _grid(figures: Any) -> Element:
    return element("div", *figures, class_="charts")


def _run_row(run: Snapshot) -> Element:
    box = element(
        "input", type="checkbox", name="run", value=run.id, id=f"pick-{run.id}", aria_label=f"compare {run.name}"
    )
    cells = {
        "Compare": box,
        "Run": element("a", run.name, href=address(run)),
        "State": _badge(run.state),
        "Step": element("span", _steps(run)),
        "Images/s": element("span", number(run.images_per_second) if run.images_per_second is not None else "-"),
        "Time left": element("span", duration(run.seconds_left)),
        "Last condition": _last_condition(run),
    }
    return _row(element("td", cell, data_name=name) for name, cell in cells.items())


def _badge(state: State) -> Element:
    return element("span", _STATES[state], class_=f"state {state}")


def _steps(run: Snapshot) -> str:
    return f"{run.step:,} of {run.steps:,}" if run.steps else f"{run.step:,}"


def _last_condition(run: Snapshot) -> Element:
    if run.problems:
        return element("span", run.problems[0], class_="problem")
    if run.active:
        names = (element("span", name, class_=f"condition k{colour_of(name)}") for name in run.active)
        return element("span", *names)
    ended = next((change for change in reversed(run.changes) if change.ended), None)
    return element("span", f"{ended.ended[-1]}, ended at step {ended.step:,}" if ended else "none", class_="soft")


def _problems(run: Snapshot) -> list[Element]:
    return [element("p", problem, class_="problem", role="alert") for problem in run.problems]


def _run_title(run: Snapshot, place: int) -> Element:
    return element("h2", element("span", class_=f"swatch c{place}"), element("a", run.name, href=address(run)))


def _status(run: Snapshot) -> Element:
    facts: dict[str, str | Element] = {
        "State": _badge(run.state),
        "Step": _steps(run),
        "Images/s": number(run.images_per_second) if run.images_per_second is not None else "-",
        "Time left": duration(run.seconds_left),
    }
    if run.kids:
        best = min(run.kids, key=lambda line: line["kid"])
        facts["Lowest KID"] = f"{number(best['kid'])} at step {best['step']:,}"
    if run.active:
        facts["Condition"] = _last_condition(run)
    bar = None
    if run.steps:
        bar = element("progress", max=run.steps, value=min(run.step, run.steps), aria_label="steps done")
    return element("div", bar, _facts(facts), class_="status")


def _facts(facts: Mapping[str, str | Element]) -> Element:
    pairs = (element("div", element("dt", name), element("dd", fact)) for name, fact in facts.items())
    return element("dl", *pairs, class_="facts")


def _thinned(runs: Sequence[Snapshot]) -> list[Element]:
    most = max(run.stride for run in runs)
    if most == 1:
        return []
    return [element("p", f"The run is long: the curves show every {most:,}th line, and all of KID.", class_="soft")]


def _conditions(run: Snapshot) -> list[Element]:
    said = [(change, sentence) for change in reversed(run.changes) for sentence in reversed(change.sentences)]
    if not said:
        return [element("p", "Nothing was wrong so far.", class_="soft")]
    items = [_sentence(change, sentence) for change, sentence in said]
    newest, earlier = items[:_SHOWN_SENTENCES], items[_SHOWN_SENTENCES:]
    shown = [*lanes(run), element("ol", *newest, class_="conditions")]
    if earlier:
        shown.append(
            element(
                "details", element("summary", f"{len(earlier)} earlier"), element("ol", *earlier, class_="conditions")
            )
        )
    return shown


def _sentence(change: Change, sentence: str) -> Element:
    name = next((name for name in (*change.began, *change.ended) if sentence.startswith(name)), "")
    step = element("span", f"step {change.step:,}", class_="step")
    return element("li", element("span", class_=f"swatch band k{colour_of(name)}"), step, f" {sentence}")


def _sheets(runs: Sequence[Snapshot]) -> Element:
    """The newest sheets, and a slider for all steps at which any of the runs has one."""
    steps = sorted({step for run in runs for step in run.sheets})
    title = element("h2", "Samples over time")
    if not steps:
        return _section("sheets", title, element("p", "No sample sheet yet.", class_="soft"))
    slider = element(
        "input",
        type="range",
        id="sheet-step",
        min=0,
        max=len(steps) - 1,
        value=len(steps) - 1,
        data_steps=json.dumps(steps),
        aria_label="step of the sample sheet",
    )
    controls = element(
        "div",
        element("button", "Play", type="button", id="sheet-play"),
        slider,
        element("output", f"step {steps[-1]:,}", id="sheet-label"),
        class_="player",
        hidden="hidden",
    )
    figures = (_sheet(run, place if len(runs) > 1 else None) for place, run in enumerate(runs))
    return _section("sheets", title, controls, element("div", *figures, class_="sheets"))


def _sheet(run: Snapshot, place: int | None) -> Element:
    if not run.sheets:
        return element("figure", element("p", "No sample sheet yet.", class_="soft"))
    step = run.sheets[-1]
    image = element(
        "img",
        src=f"{address(run)}/sheets/{step}?v={run.version}",
        alt=f"64 images that {run.name} drew at step {step:,}",
        data_base=f"{address(run)}/sheets/",
        data_query=f"?v={run.version}",
        data_steps=json.dumps(run.sheets),
        data_alt=f"64 images that {run.name} drew at step ",
    )
    swatch = [] if place is None else [element("span", class_=f"swatch c{place}"), element("span", f"{run.name}, ")]
    return element("figure", image, element("figcaption", *swatch, element("span", f"step {step:,}", class_="at")))


def _options(config: Mapping[str, Any]) -> Element:
    facts = {name: _value(value) for name, value in config.items() if name != "recipe"}
    if not facts:
        return element("p", "The options are not known.", class_="soft")
    return element(
        "details", element("summary", f"{len(facts)} options of this run"), _table(["option", "value"], facts.items())
    )


def _differences(runs: Sequence[Snapshot]) -> list[Element]:
    configs = [_flat(run.config) for run in runs]
    names = dict.fromkeys(name for config in configs for name in config)
    rows = [(name, *(_value(config.get(name)) for config in configs)) for name in names]
    different = [row for row in rows if len(set(row[1:])) > 1]
    if not different:
        return [element("p", "The two runs have the same options.", class_="soft")]
    return [_table(["option", *(run.name for run in runs)], different)]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options, and those fields of the preset that no option sets."""
    recipe = config.get("recipe")
    preset = recipe if isinstance(recipe, dict) else {}
    return {name: value for name, value in (preset | dict(config)).items() if name != "recipe"}


def _table(head: Sequence[str], rows: Any) -> Element:
    titles = element("thead", _row(element("th", name, scope="col") for name in head))
    body = (
        _row([element("th", first, scope="row"), *(element("td", value) for value in rest)]) for first, *rest in rows
    )
    return element("div", element("table", titles, element("tbody", *body), class_="options"), class_="wide")


def _value(value: Any) -> str:
    """An option as one would write it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)
