"""Line charts as SVG. The stylesheet gives their colours, for light and for dark: the page allows no inline style. Texts are escaped."""

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_WIDTH, _HEIGHT = 380, 226
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 370, 26, 180
"""Of the plot, in pixels of a narrow window, so that letters there have their size."""
_LEAST_MARGIN = 1e-3
"""Around equal values."""
_LEAST_DECADES = 0.5
"""Of a logarithmic axis, so that a round number is on it."""
_MARKED_POINTS = 40
"""Fewer points are marked with a dot each, a single one with a large one."""
_MOST_TICKS = 8


class Point(NamedTuple):
    """A point of a line. ``spread`` is half the length of the bar through it."""

    x: float
    y: float
    spread: float = 0.0


@dataclass(frozen=True)
class Line:
    """Points in the order of ``x``, at least one. ``value`` stands behind the label."""

    label: str
    points: Sequence[Point]
    value: str = ""


@dataclass(frozen=True)
class Level:
    """A value of ``y`` that means something, drawn as a dashed line."""

    y: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Up to three lines, with the words that explain them.

    Attributes:
        id: of this chart in the page.
        meaning: a sentence for people who do not know the number.
        in_words: what the lines show, for a screen reader.
        bounds: values of ``y`` that the axis reaches at least.
        log: whether the axis of ``x`` is logarithmic; every ``x`` is above 0 then.
    """

    id: str
    title: str
    meaning: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    in_words: str
    level: Level | None = None
    bounds: tuple[float, ...] = ()
    log: bool = False


def figure(chart: Chart) -> str:
    """Return a chart with its title, its meaning and its legend, as HTML."""
    title, meaning = html.escape(chart.title), html.escape(chart.meaning)
    return (
        f'<figure class="chart"><figcaption><h3>{title}</h3><p>{meaning}</p>{_legend(chart)}</figcaption>'
        f"{_svg(chart)}</figure>"
    )


def number(value: float) -> str:
    """Three digits, or all before the point: 0.634, 12.3, 31,400."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def _legend(chart: Chart) -> str:
    entries = [
        f'<li><span class="swatch c{place}"></span>{html.escape(line.label)} <b>{html.escape(line.value)}</b></li>'
        for place, line in enumerate(chart.lines)
    ]
    if chart.level:
        entries.append(f'<li><span class="swatch dashed"></span>{html.escape(chart.level.label)}</li>')
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _svg(chart: Chart) -> str:
    x, y = _x_scale(chart), _y_scale(chart)
    lines = (part for place, line in enumerate(chart.lines) for part in _line(line, place, x, y))
    parts = (*_names(chart), *_x_axis(chart, x), *_y_axis(chart, y), *_level(chart, y), *lines)
    names = f"chart-{chart.id} chart-{chart.id}-words"
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{names}">{"".join(parts)}</svg>'


def _names(chart: Chart) -> Iterator[str]:
    yield f'<title id="chart-{chart.id}">{html.escape(chart.title)}</title>'
    yield f'<desc id="chart-{chart.id}-words">{html.escape(chart.in_words)}</desc>'


@dataclass(frozen=True)
class _Scale:
    """Values to pixels: ``low`` to ``high`` becomes ``first`` to ``last``. On a logarithmic scale ``low`` and ``high`` are exponents."""

    low: float
    high: float
    first: int
    last: int
    log: bool = False

    def __call__(self, value: float) -> float:
        shown = math.log10(value) if self.log else value
        return round(self.first + (self.last - self.first) * (shown - self.low) / (self.high - self.low), 1)

    def ticks(self) -> list[float]:
        return _round_powers(self.low, self.high) if self.log else _round_numbers(self.low, self.high)


def _x_scale(chart: Chart) -> _Scale:
    values = [point.x for line in chart.lines for point in line.points]
    if not chart.log:
        return _Scale(0, max(*values, 1), _LEFT, _RIGHT)
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.05 * (high - low), (_LEAST_DECADES - (high - low)) / 2)
    return _Scale(low - margin, high + margin, _LEFT, _RIGHT, log=True)


def _y_scale(chart: Chart) -> _Scale:
    """A margin around the values, but none beyond a bound."""
    points = [point for line in chart.lines for point in line.points]
    values = [point.y + sign * point.spread for point in points for sign in (-1, 1)]
    values += [*chart.bounds, *([chart.level.y] if chart.level else [])]
    low, high = min(values), max(values)
    margin = max(0.06 * (high - low), 0.001 * max(abs(low), abs(high)), _LEAST_MARGIN)
    first = low if low in chart.bounds else low - margin
    last = high if high in chart.bounds and high > low else high + margin
    return _Scale(first, last, _BOTTOM, _TOP)


def _x_axis(chart: Chart, x: _Scale) -> Iterator[str]:
    for value in x.ticks():
        place = x(value)
        side = " first" if place < _LEFT + 10 else " last" if place > _RIGHT - 10 else ""
        yield f'<line x1="{place}" x2="{place}" y1="{_BOTTOM}" y2="{_BOTTOM + 4}" class="grid"/>'
        yield f'<text x="{place}" y="{_BOTTOM + 17}" class="tick x{side}">{_compact(value)}</text>'
    yield f'<text x="{_RIGHT}" y="{_HEIGHT - 10}" class="tick x last">{html.escape(chart.x_label)}</text>'


def _y_axis(chart: Chart, y: _Scale) -> Iterator[str]:
    for value in y.ticks():
        place = y(value)
        yield f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{place}" y2="{place}" class="grid"/>'
        yield f'<text x="{_LEFT - 5}" y="{place + 3.5:.1f}" class="tick y">{_compact(value)}</text>'
    yield f'<text x="4" y="12" class="tick">{html.escape(chart.y_label)}</text>'


def _level(chart: Chart, y: _Scale) -> Iterator[str]:
    if chart.level:
        place = y(chart.level.y)
        yield f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{place}" y2="{place}" class="level"/>'


def _line(line: Line, colour: int, x: _Scale, y: _Scale) -> Iterator[str]:
    places = [(x(point.x), y(point.y)) for point in line.points]
    yield f'<polyline points="{" ".join(f"{x},{y}" for x, y in places)}" class="curve c{colour}"/>'
    for place, point in zip(places, line.points, strict=True):
        if point.spread:
            low, high = (y(point.y + sign * point.spread) for sign in (-1, 1))
            yield f'<line x1="{place[0]}" x2="{place[0]}" y1="{low}" y2="{high}" class="spread c{colour}"/>'
    if len(places) < _MARKED_POINTS:
        radius = 2.5 if len(places) > 1 else 4
        yield from (f'<circle cx="{x}" cy="{y}" r="{radius}" class="dot c{colour}"/>' for x, y in places)


def _round_numbers(low: float, high: float) -> list[float]:
    """About four multiples of 1, 2 or 5 times a power of ten, from ``low`` to ``high``."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [place * size for place in range(math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9) + 1)]


def _round_powers(low: float, high: float) -> list[float]:
    """Powers of ten from ``10 ** low`` to ``10 ** high``, with twice and five times each where there is room."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    for factors, every in (((1, 2, 5), 1), ((1,), 1), ((1,), 4)):
        values = [factor * 10.0**power for power in powers[::every] for factor in factors]
        shown = [value for value in values if low <= math.log10(value) <= high]
        if len(shown) <= _MOST_TICKS:
            break
    return shown


def _compact(value: float) -> str:
    """A number at an axis: 500, 10k, 2.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < size * 1e6:
            return f"{value / size:.5g}{unit}"
    return f"{value:.5g}"
