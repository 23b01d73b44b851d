"""Charts draw whatever numbers a file may hold."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from drawwell_train.watch.charts import Chart, Curve, Level, caption, plot
from drawwell_train.watch.elements import to_html


def coordinates(values: Sequence[float], **options: Any) -> list[tuple[float, float]]:
    """Where the points of a curve are drawn, in a plot from (44, 8) to (372, 166)."""
    points = [(100 * place, value) for place, value in enumerate(values)]
    chart = Chart("id", "title", [Curve("label", points, 0)], points[-1][0], Level(0.5, "level"), **options)
    (drawn,) = re.findall(r'<polyline points="([^"]*)"', to_html(plot(chart)))
    return [(float(x), float(y)) for x, y in (point.split(",") for point in drawn.split())]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        [0.0],
        [1.0, 1.0],
        [0.5, 0.5 + 2**-52],
        [1e29, -1e29, 0.0],
        [1e-310, 2e-310],
        [0.0, 1e-30, 1e29],
        [-5.0, -4.0],
        [3, 70_000],
    ],
)
def test_every_point_is_inside_the_plot(values: list[float], log: bool) -> None:
    places = coordinates(values, log=log)
    assert len(places) == len(values)
    assert all(44 <= x <= 372 and 8 <= y <= 166 for x, y in places)


def test_larger_values_are_higher_and_bounds_are_at_the_edges() -> None:
    assert coordinates([0.0, 0.5, 1.0], low=0.0, high=1.0) == [(44, 166), (208, 87), (372, 8)]
    low, middle, high = (y for _, y in coordinates([1.0, 10.0, 100.0], log=True))
    assert low > middle > high
    assert abs((low - middle) - (middle - high)) < 0.2


def test_a_chart_without_points_says_why() -> None:
    empty = Chart("id", "title", [Curve("label", [], 0)], 100, absent="Nothing <yet>.")
    assert to_html(plot(empty)) == '<p class="absent">Nothing &lt;yet&gt;.</p>'
    assert [part.text for part in caption(empty)] == ["title", None]


def test_a_curve_carries_its_numbers() -> None:
    points = [(0, 0.123456), (41_000_001, -1.38629e-7)]
    html = to_html(plot(Chart("id", "title", [Curve("label", points, 0)], 41_000_001)))
    assert 'data-steps="[0,41000001]"' in html and 'data-values="[0.123456,-1.38629e-07]"' in html
