"""The options of a run, or those in which two runs differ."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from drawwell_train.watch.elements import element, row
from drawwell_train.watch.snapshot import Snapshot


def options_of(run: Snapshot) -> Element:
    """Return all options of a run, folded."""
    facts = {name: _value(value) for name, value in run.config.items() if name != "recipe"}
    if not facts:
        return element("p", "The options are not known.", class_="soft")
    title = element("summary", f"{len(facts)} options of this run", id="options-shown")
    return element("details", title, _table(["option", "value"], facts.items()), id="options-folded")


def differences(runs: Sequence[Snapshot]) -> Element:
    """Return the options that differ between runs."""
    configs = [_flat(run.config) for run in runs]
    names = dict.fromkeys(name for config in configs for name in config)
    rows = [(name, *(_value(config.get(name)) for config in configs)) for name in names]
    different = [values for values in rows if len(set(values[1:])) > 1]
    if not different:
        return element("p", "The two runs have the same options.", class_="soft")
    return _table(["option", *(run.name for run in runs)], different)


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options, and those fields of the preset that no option sets."""
    recipe = config.get("recipe")
    preset = recipe if isinstance(recipe, dict) else {}
    return {name: value for name, value in (preset | dict(config)).items() if name != "recipe"}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Element:
    titles = element("thead", row(element("th", name, scope="col") for name in head))
    body = (
        row([element("th", first, scope="row"), *(element("td", value) for value in rest)]) for first, *rest in rows
    )
    table = element("table", titles, element("tbody", *body), class_="options")
    return element("div", table, class_="wide", tabindex=0, role="region", aria_label="options")


def _value(value: Any) -> str:
    """An option as one would write it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)
