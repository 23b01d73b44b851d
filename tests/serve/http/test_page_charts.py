"""The curves of a card on the page: of its training, and of its certificate."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawwell.files.certified import Accuracy, Certified, Uplift
from drawwell.files.history import MOST_POINTS, MOST_VALUE, TrainingHistory
from drawwell_serve.http.card_charts import certificate_chart, training_charts
from tests import graphs
from tests.serve.behind import listening
from tests.serve.http.chromium import Chromium, needs_chromium

HOSTILE = "</svg><img src=x onerror=\"document.title='taken'\">"
GREATEST = 2**63 - 1
HISTORY = TrainingHistory(
    kid=((500, 0.05), (1000, 0.021), (1500, 0.0123)),
    diversity=((500, 0.4), (1000, 0.9), (1500, 0.97)),
    d_real=((500, 0.9), (1000, 0.7), (1500, 0.61)),
    d_fake=((500, 0.1), (1000, 0.3), (1500, 0.42)),
    gives_probabilities=True,
)


def row(real_images: int, real: float, both: float) -> Uplift:
    accuracies = Accuracy(real, 0.01), Accuracy(both, 0.02)
    return Uplift(0.5, real_images, *accuracies, 0.5, both > real, HOSTILE, -0.1)


def certificate_of(*rows: Uplift) -> Certified:
    return Certified(HOSTILE, HOSTILE, HOSTILE, HOSTILE, Accuracy(0.5, 0.01), rows, 5, 9000, 10_000)


CERTIFICATE = certificate_of(row(6000, 0.8, 0.81), row(600, 0.6, 0.7))


def numbers_of(points: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, point.split(","))) for point in points.split()]


@pytest.fixture
def charted(tmp_path: Path) -> Iterator[str]:
    """The URL of a server whose card has every curve, and names with markup."""
    card = graphs.card(name=HOSTILE, history=HISTORY, certificate=CERTIFICATE)
    with listening(graphs.write(tmp_path / "charted.onnx", graphs.plain_model(), card)) as url:
        yield url


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_shows_the_curves(charted: str, browser: Chromium, width: int, scheme: str) -> None:
    with browser.on_a_screen(width, scheme):
        browser.show(f"{charted}/#view=generator")
        browser.until(lambda: len([one for one in browser.every(".chart svg") if one.is_displayed()]) == 4)
        assert [title.text for title in browser.every(".chart h3")] == [
            "KID during training",
            "Diversity during training",
            "The discriminator during training",
            "What drawn images add to real ones",
        ]
        assert "1,000 x KID 12.3" in browser.text(".chart .legend")
        colours = "return [...document.querySelectorAll('.chart .curve')].map(one => getComputedStyle(one).stroke)"
        assert len(set(browser.run(colours))) == 3, "the stylesheet gives each line of a chart its colour"
        assert all(one.size["width"] > 200 and one.size["height"] > 100 for one in browser.every(".chart svg"))
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        browser.check_accessible("curves")
        assert browser.title != "taken"
        assert not browser.every("img[onerror]")


def test_a_curve_that_falls_is_drawn_falling_and_a_screen_reader_reads_it() -> None:
    charts = training_charts(HISTORY)
    kid, diversity, real, drawn = map(numbers_of, re.findall(r'points="(.*?)"', charts))
    assert [x for x, _ in kid] == sorted(x for x, _ in kid)
    assert [y for _, y in kid] == sorted(y for _, y in kid), "y grows downwards"
    assert [y for _, y in diversity] == sorted((y for _, y in diversity), reverse=True)
    assert all(above < below for (_, above), (_, below) in zip(real, drawn, strict=True))
    words = '<desc id="chart-kid-words">1,000 x KID: 12.3 at step 1,500, from 12.3 to 50.</desc>'
    assert words in charts
    assert 'role="img" aria-labelledby="chart-kid chart-kid-words"' in charts


def test_numbers_that_the_training_did_not_measure_have_no_chart() -> None:
    assert training_charts(None) == training_charts(TrainingHistory()) == certificate_chart(None) == ""
    assert training_charts(TrainingHistory(kid=((500, 0.05),))).count("<svg") == 1
    critic = training_charts(TrainingHistory(d_real=((1, 40.0), (2, 70.0)), d_fake=((1, -3.0), (2, 5.0))))
    assert "no fixed scale" in critic
    assert "probab" not in critic


def test_the_certificate_is_drawn_over_the_logarithm_of_the_real_images() -> None:
    rows = [row(60_000, 0.9, 0.9), row(600, 0.6, 0.7), row(6000, 0.8, 0.81)]
    chart = certificate_chart(certificate_of(*rows))
    real, drawn, both = map(numbers_of, re.findall(r'points="(.*?)"', chart))
    assert real[2][0] - real[1][0] == pytest.approx(real[1][0] - real[0][0], abs=0.2)
    assert len({y for _, y in drawn}) == 1
    assert both[0][1] < real[0][1]
    assert re.findall(r"<li><span[^>]*></span>(.*?) <b>", chart) == ["real only", "drawn only", "real + drawn"]
    assert chart.count('class="spread') == 9
    for text in (">real images</text>", ">accuracy on 10,000 test images (%)</text>", ">1k</text>", ">10k</text>"):
        assert text in chart


@pytest.mark.parametrize(
    "values",
    [
        (0.0, 0.0),
        (0.0, sys.float_info.min),
        (1.0, 1.0 + sys.float_info.epsilon),
        (-MOST_VALUE, MOST_VALUE),
        (-MOST_VALUE, -MOST_VALUE),
        (5e-324,),
    ],
)
@pytest.mark.parametrize("steps", [(0, 0), (0, GREATEST), (GREATEST, 0), (3, 4)])
def test_a_card_of_extreme_numbers_is_a_bounded_chart(values: tuple[float, ...], steps: tuple[int, ...]) -> None:
    curve = tuple(zip(steps, values, strict=False)) * (MOST_POINTS // 2)
    bounded(training_charts(TrainingHistory(curve, curve, curve, curve)), 100_000)


@pytest.mark.parametrize("counts", [(1,), (GREATEST,), (1, GREATEST), (7, 7), (999, 1000), tuple(range(1, 65))])
def test_a_certificate_of_extreme_numbers_is_a_bounded_chart(counts: tuple[int, ...]) -> None:
    extreme, one = Accuracy(-1, 1), Accuracy(1, -1)
    rows = [Uplift(0.5, count, extreme, one, 0.5, False, HOSTILE, -1) for count in counts]
    chart = certificate_chart(certificate_of(*rows))
    bounded(chart, 100_000)
    assert HOSTILE not in chart
    assert chart.count('class="tick x') - 1 in range(1, 9), "besides the name of the axis"


def bounded(charts: str, characters: int) -> None:
    """Every point lies within its picture, and the text stays short."""
    assert len(charts) < characters
    places = [place for points in re.findall(r'points="(.*?)"', charts) for place in numbers_of(points)]
    assert places
    assert all(0 <= x <= 380 and 0 <= y <= 226 for x, y in places)
    assert all(len(text) < 40 for text in re.findall(r"<text[^>]*>(.*?)</text>", charts))
    assert len(re.findall("<text", charts)) < 100
