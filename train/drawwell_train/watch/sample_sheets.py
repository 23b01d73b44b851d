"""The sample sheets of a run, or of two beside each other, over time."""

import json
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from drawwell_train.watch.elements import element, live
from drawwell_train.watch.snapshot import Snapshot

_NONE = "No sample sheet yet."


def sample_sheets(runs: Sequence[Snapshot]) -> Element:
    """Return the newest sheets, and a slider for all steps at which any of the runs has one."""
    steps = sorted({step for run in runs for step in run.sheets})
    title = element("h2", "Samples over time")
    if not steps:
        return live("section", "sheets", title, element("p", _NONE, class_="soft"))
    figures = (_sheet(run, place if len(runs) > 1 else None) for place, run in enumerate(runs))
    return live("section", "sheets", title, _player(steps), element("div", *figures, class_="sheets"))


def _player(steps: Sequence[int]) -> Element:
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
    button = element("button", "Play", type="button", id="sheet-play")
    label = element("output", f"step {steps[-1]:,}", id="sheet-label")
    return element("div", button, slider, label, class_="player", hidden="hidden")


def _sheet(run: Snapshot, place: int | None) -> Element:
    if not run.sheets:
        return element("figure", element("p", _NONE, class_="soft"))
    base, query, alt = f"{run.path}/sheets/", f"?v={run.version}", f"64 images that {run.name} drew at step "
    step = run.sheets[-1]
    image = element(
        "img",
        src=f"{base}{step}{query}",
        alt=f"{alt}{step:,}",
        data_base=base,
        data_query=query,
        data_alt=alt,
        data_steps=json.dumps(run.sheets),
    )
    swatch = [] if place is None else [element("span", class_=f"swatch c{place}"), element("span", f"{run.name}, ")]
    return element("figure", image, element("figcaption", *swatch, element("span", f"step {step:,}", class_="at")))
