"""The list of runs."""

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from drawwell_train.watch.elements import element, live, row
from drawwell_train.watch.snapshot import Snapshot
from drawwell_train.watch.status import facts_of, last_condition

_TITLES = ("Compare", "Run", "State", "Step", "Images/s", "Time left", "Last condition")


def runs_table(runs: Sequence[Snapshot]) -> Element:
    """Return a row for each run: those that are training first, by name, then the last written."""
    if not runs:
        hint = "There is no run in this folder yet. It appears here when `drawwell train` has begun one."
        return live("section", "runs", element("p", hint, class_="absent"))
    head = element("thead", row(element("th", title, scope="col") for title in _TITLES))
    body = element("tbody", *map(_row, _ordered(runs)))
    return live("section", "runs", element("table", head, body, class_="runs"))


def _ordered(runs: Iterable[Snapshot]) -> list[Snapshot]:
    return sorted(runs, key=lambda run: (not run.is_live, 0.0 if run.is_live else -run.written_at, run.name))


def _row(run: Snapshot) -> Element:
    if run.state == "unreadable":
        return row([element("td"), _name(run), element("td", _problem(run), colspan=len(_TITLES) - 2)])
    facts = {"Time left": element("span", "-", class_="none")} | dict(facts_of(run))
    facts["Last condition"] = _problem(run) if run.problems else last_condition(run)
    return row([_box(run), _name(run), *(_cell(title, facts[title]) for title in _TITLES[2:])])


def _cell(title: str, content: Element | str) -> Element:
    return element("td", element("span", content) if isinstance(content, str) else content, data_name=title)


def _name(run: Snapshot) -> Element:
    return _cell("Run", element("a", run.name, href=run.path, id=f"run-{run.id}"))


def _box(run: Snapshot) -> Element:
    name = f"compare {run.name}"
    box = element("input", type="checkbox", name="run", value=run.id, id=f"pick-{run.id}", aria_label=name)
    return _cell("Compare", box)


def _problem(run: Snapshot) -> Element:
    return element("span", run.problems[0], class_="problem")
