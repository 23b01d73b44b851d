"""Charts of the numbers of a run, or of two, as SVG. The style sheet gives colours, for light and for dark."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from drawwell_train.watch.bands import Band
from drawwell_train.watch.elements import element
from drawwell_train.watch.words import compact, number

_WIDTH, _HEIGHT = 380, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 372, 8, 166
"""Of the plot, in pixels of a narrow window, so that letters there have their size."""
PLOT_WIDTH = _RIGHT - _LEFT
_MARKED_POINTS = 40
"""Fewer points are marked with a dot, a single one with a large one."""

Point = tuple[int, float]
"""A step, and the value there."""


@dataclass(frozen=True)
class Curve:
    """Points in the order of their steps. ``colour`` is a number of the style sheet."""

    label: str
    points: Sequence[Point]
    colour: int


@dataclass(frozen=True)
class Level:
    """A value that means something, drawn as a dashed line."""

    value: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Curves over the steps from 0 to ``last_step``.

    Attributes:
        low: a value that the axis begins at or below; None for the lowest of the curves.
        high: a value that the axis ends at or above.
        log: whether the axis is logarithmic.
        absent: a sentence for a chart without points.
        marked: a point to mark.
    """

    id: str
    title: str
    curves: Sequence[Curve]
    last_step: float
    level: Level | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    bands: Sequence[Band] = ()
    absent: str = ""
    marked: Point | None = None


def caption(chart: Chart) -> list[Element]:
    """Return a title, and a legend with the last value of each curve."""
    legend = element("ul", class_="legend")
    for curve in chart.curves:
        if curve.points:
            last = number(curve.points[-1][1])
            value = element("b", last, data_last=last)
            swatch = element("span", class_=f"swatch c{curve.colour}")
            legend.append(element("li", swatch, f"{curve.label} ", value))
    if chart.level and len(legend):
        legend.append(element("li", element("span", class_="swatch dashed"), chart.level.label))
    return [element("h3", chart.title), legend]


def plot(chart: Chart) -> Element:
    """Return the plot, or the sentence that says why there is none."""
    if not any(curve.points for curve in chart.curves):
        return element("p", chart.absent, class_="absent")
    axis = _Axis.of(chart)
    svg = _frame(chart, axis)
    svg.extend(_bands(chart, axis))
    svg.extend(_ticks(axis))
    svg.extend(_level(chart.level, axis) if chart.level else ())
    for curve in chart.curves:
        svg.extend(_curve(curve, axis) if curve.points else ())
    svg.extend(_mark(chart.marked, axis) if chart.marked else ())
    svg.append(element("line", x1=0, x2=0, y1=_TOP, y2=_BOTTOM, class_="cross", visibility="hidden"))
    return svg


def _frame(chart: Chart, axis: "_Axis") -> Element:
    return element(
        "svg",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        id=f"chart-{chart.id}",
        tabindex=0,
        aria_label=_in_words(chart),
        data_left=_LEFT,
        data_right=_RIGHT,
        data_step=axis.last_step,
    )


def _in_words(chart: Chart) -> str:
    """For a screen reader."""
    parts = [
        f"{curve.label}: {number(curve.points[-1][1])} at step {curve.points[-1][0]:,}, "
        f"from {number(min(y for _, y in curve.points))} to {number(max(y for _, y in curve.points))}"
        for curve in chart.curves
        if curve.points
    ]
    return f"{chart.title}. {'; '.join(parts)}. Arrow keys read the values of other steps."


@dataclass(frozen=True)
class _Axis:
    """Steps and values to pixels."""

    last_step: float
    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, chart: Chart) -> "_Axis":
        values = [y for curve in chart.curves for _, y in curve.points if not chart.log or y > 0] or [1.0]
        bounds = (chart.low, chart.high, chart.level.value if chart.level else None)
        values += [bound for bound in bounds if bound is not None]
        if chart.log:
            low, high = (math.log10(one) for one in (min(values), max(values)))
            low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
        else:
            low, high = min(values), max(values)
            margin = (high - low) * 0.04 or abs(high) * 0.1 or 0.1
            low, high = low if low == chart.low else low - margin, high if high == chart.high else high + margin
        return cls(max(chart.last_step, 1), low, high, chart.log)

    def x(self, step: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * step / self.last_step, 1)

    def y(self, value: float) -> float:
        shown = (math.log10(value) if value > 0 else self.low) if self.log else value
        return round(_BOTTOM - (_BOTTOM - _TOP) * (shown - self.low) / (self.high - self.low), 1)


def _ticks(axis: _Axis) -> Iterator[Element]:
    for value in _decades(axis) if axis.log else _round_numbers(axis.low, axis.high, 4):
        y = axis.y(value)
        yield element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid")
        yield element("text", compact(value), x=_LEFT - 5, y=y + 3.5, class_="tick y")
    for step in _round_numbers(0, axis.last_step, 4):
        x = axis.x(step)
        yield element("line", x1=x, x2=x, y1=_BOTTOM, y2=_BOTTOM + 4, class_="grid")
        place = "start" if x < _LEFT + 10 else "end" if x > _RIGHT - 10 else "middle"
        yield element("text", compact(step), x=x, y=_BOTTOM + 17, class_="tick", text_anchor=place)


def _decades(axis: _Axis) -> list[float]:
    every = max(1, math.ceil((axis.high - axis.low) / 4))
    return [10.0**power for power in range(int(axis.low), int(axis.high) + 1, every)]


def _round_numbers(low: float, high: float, count: int) -> list[float]:
    """About ``count`` multiples of 1, 2 or 5 times a power of ten, from ``low`` to ``high``."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [place * size for place in range(math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9) + 1)]


def _bands(chart: Chart, axis: _Axis) -> Iterator[Element]:
    for band in chart.bands:
        x = axis.x(band.first)
        width = max(1, axis.x(band.last) - x)
        yield element("rect", x=x, y=_TOP, width=width, height=_BOTTOM - _TOP, class_=f"band k{band.colour}")


def _level(level: Level, axis: _Axis) -> Iterator[Element]:
    y = axis.y(level.value)
    yield element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="level")


def _mark(point: Point, axis: _Axis) -> Iterator[Element]:
    yield element("circle", cx=axis.x(point[0]), cy=axis.y(point[1]), r=4, class_="marked")


def _curve(curve: Curve, axis: _Axis) -> Iterator[Element]:
    places = [(axis.x(x), axis.y(y)) for x, y in curve.points]
    yield element(
        "polyline",
        points=" ".join(f"{x:g},{y:g}" for x, y in places),
        class_=f"curve c{curve.colour}",
        data_label=curve.label,
        data_steps=json.dumps([step for step, _ in curve.points], separators=(",", ":")),
        data_values=json.dumps([float(f"{value:.6g}") for _, value in curve.points], separators=(",", ":")),
    )
    if len(places) < _MARKED_POINTS:
        for x, y in places:
            yield element("circle", cx=x, cy=y, r=2 if len(places) > 1 else 4, class_=f"dot c{curve.colour}")
