"""When conditions were active, as a lane for each of them over the steps of a run."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from drawwell_train.watch.elements import element
from drawwell_train.watch.panels import CONDITIONS, bands_of
from drawwell_train.watch.watched_run import Snapshot

_WIDTH, _HEIGHT = 1000, 10
"""In units of the drawing, which is stretched to the width of the page."""


def lanes(run: Snapshot) -> list[Element]:
    """Return a lane for each condition that was ever active, and the steps at both ends; nothing if none was."""
    names = [*CONDITIONS, "another condition"]
    colours = sorted({band.colour for band in bands_of(run)})
    if not colours:
        return []
    ends = element("div", element("span", "step 0"), element("span", f"step {run.step:,}"), class_="ends")
    return [*(_lane(run, colour, names[colour]) for colour in colours), ends]


def _lane(run: Snapshot, colour: int, name: str) -> Element:
    svg = element("svg", *_bars(run, colour), viewBox=f"0 0 {_WIDTH} {_HEIGHT}", preserveAspectRatio="none")
    svg.set("aria-hidden", "true")  # the sentences say the same
    title = element("span", name, class_=f"condition k{colour}")
    return element("div", title, svg, class_=f"lane k{colour}")


def _bars(run: Snapshot, colour: int) -> Iterator[Element]:
    scale = _WIDTH / max(run.step, 1)
    for band in bands_of(run):
        if band.colour == colour:
            x, width = round(scale * band.first, 1), max(2, round(scale * (band.last - band.first), 1))
            yield element("rect", x=min(x, _WIDTH - 2), y=0, width=width, height=_HEIGHT, class_="bar")
