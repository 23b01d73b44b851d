"""What a run is doing, in a few facts."""

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from drawwell_train.watch.bands import colour_of
from drawwell_train.watch.elements import element
from drawwell_train.watch.snapshot import Snapshot, State
from drawwell_train.watch.words import duration, number

_STATES: dict[State, str] = {
    "starting": "starting: no line yet",
    "training": "training",
    "finished": "finished",
    "stopped": "stopped",
    "diverged": "stopped: NaN",
    "empty": "no line yet",
    "unreadable": "cannot be shown",
}

Facts = Mapping[str, str | Element]


def problems(run: Snapshot) -> list[Element]:
    """A sentence for each thing that cannot be read."""
    return [element("p", problem, class_="problem", role="alert") for problem in run.problems]


def status(run: Snapshot) -> Element:
    """Return the steps done as a bar, and the facts."""
    facts = dict(facts_of(run))
    if kids := run.curve("kid"):
        step, lowest = min(kids, key=lambda point: point[1])
        facts["Lowest KID"] = f"{number(lowest)} at step {step:,}"
    if run.active:
        facts["Condition"] = last_condition(run)
    bar = None
    if run.steps:
        bar = element("progress", max=run.steps, value=min(run.step, run.steps), aria_label="steps done")
    return element("div", bar, _list(facts), class_="status")


def facts_of(run: Snapshot) -> Facts:
    """State, steps, speed and time left, by their titles."""
    facts: dict[str, str | Element] = {
        "State": element("span", _STATES[run.state], class_=f"state {run.state}"),
        "Step": f"{run.step:,} of {run.steps:,}" if run.steps else f"{run.step:,}",
        "Images/s": number(run.images_per_second) if run.images_per_second is not None else "-",
    }
    if run.is_live:
        facts["Time left"] = duration(run.seconds_left)
    return facts


def last_condition(run: Snapshot) -> Element:
    """Return the conditions that hold now, else the one that ended last."""
    if run.active:
        names = (element("span", name, class_=f"condition k{colour_of(name)}") for name in run.active)
        return element("span", *names)
    ended = next((change for change in reversed(run.changes) if change.ended), None)
    return element("span", f"{ended.ended[-1]}, ended at step {ended.step:,}" if ended else "none", class_="soft")


def _list(facts: Facts) -> Element:
    pairs = (element("div", element("dt", name), element("dd", fact)) for name, fact in facts.items())
    return element("dl", *pairs, class_="facts")
