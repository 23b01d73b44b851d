"""When conditions were active: a lane for each of them over the steps of a run, and what training said."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from drawwell_train.watch.bands import NAMES, colour_of
from drawwell_train.watch.elements import element
from drawwell_train.watch.history import Change
from drawwell_train.watch.snapshot import Snapshot

_WIDTH, _HEIGHT = 1000, 10
"""In units of the drawing, which is stretched to the width of the page."""
_SHOWN_SENTENCES = 6
"""The others are folded."""
_OPTION = re.compile(r"(--[a-z][a-z0-9-]{0,40})")


def conditions_of(run: Snapshot) -> list[Element]:
    """Return the lanes, and the sentences from the newest to the oldest."""
    said = [(change, sentence) for change in reversed(run.changes) for sentence in reversed(change.sentences)]
    if not said:
        return [element("p", "Nothing was wrong so far.", class_="soft")]
    items = [_sentence(change, sentence) for change, sentence in said]
    shown = [*_lanes(run), element("ol", *items[:_SHOWN_SENTENCES], class_="conditions")]
    if earlier := items[_SHOWN_SENTENCES:]:
        title = element("summary", f"{len(earlier)} earlier", id=f"earlier-{run.id}")
        folded = element("ol", *earlier, class_="conditions")
        shown.append(element("details", title, folded, id=f"folded-{run.id}"))
    return shown


def _sentence(change: Change, sentence: str) -> Element:
    name = next((name for name in (*change.began, *change.ended) if sentence.startswith(name)), "")
    step = element("span", f"step {change.step:,}", class_="step")
    swatch = element("span", class_=f"swatch band k{colour_of(name)}")
    return element("li", swatch, step, " ", *_with_options(sentence))


def _with_options(sentence: str) -> Iterator[Element | str]:
    """An option such as ``--learning-rate`` must not be broken at the end of a line."""
    for place, part in enumerate(_OPTION.split(sentence)):
        yield element("code", part) if place % 2 else part


def _lanes(run: Snapshot) -> list[Element]:
    """A lane for each condition that was ever active, and the steps at both ends."""
    colours = sorted({band.colour for band in run.bands})
    ends = element("div", element("span", "step 0"), element("span", f"step {run.step:,}"), class_="ends")
    return [*(_lane(run, colour, NAMES[colour]) for colour in colours), ends]


def _lane(run: Snapshot, colour: int, name: str) -> Element:
    svg = element("svg", *_bars(run, colour), viewBox=f"0 0 {_WIDTH} {_HEIGHT}", preserveAspectRatio="none")
    svg.set("aria-hidden", "true")  # the sentences say the same
    title = element("span", name, class_=f"condition k{colour}")
    return element("div", title, svg, class_=f"lane k{colour}")


def _bars(run: Snapshot, colour: int) -> Iterator[Element]:
    scale = _WIDTH / max(run.step, 1)
    for band in run.bands:
        if band.colour == colour:
            x, width = round(scale * band.first, 1), max(2, round(scale * (band.last - band.first), 1))
            yield element("rect", x=min(x, _WIDTH - 2), y=0, width=width, height=_HEIGHT, class_="bar")
