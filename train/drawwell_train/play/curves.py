"""The curves of a training, drawn as those of ``drawwell watch``."""

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from drawwell_train.play.options import PlayOptions
from drawwell_train.play.views import Line
from drawwell_train.presets import CROSS_ENTROPIES
from drawwell_train.watch.charts import Chart, Curve, Level, Point, caption, plot
from drawwell_train.watch.elements import element

_BEST_VALUE = Level(-2 * math.log(2), "-2 log 2: perfect G")
_GREATEST_JSD = Level(math.log(2), "log 2: greatest")
_DATA_DIVERSITY = Level(1.0, "the data's")
_SHOWN_LINES = 300
"""Of at most twice as many: a chart is not wider."""


def curves_of(lines: Sequence[Line], options: PlayOptions) -> Element:
    """Return the charts that the options give a meaning, one beside the other."""
    shown = lines[:: 1 + len(lines) // _SHOWN_LINES]
    if shown and shown[-1] is not lines[-1]:
        shown = [*shown, lines[-1]]
    charts = _of_product(shown) if options.data == "product" else _of_gan(shown, options)
    return element("div", *map(_figure, charts), class_="charts")


def _figure(chart: Chart) -> Element:
    return element("figure", element("figcaption", *caption(chart)), plot(chart), class_="chart")


def _of_product(lines: Sequence[Line]) -> list[Chart]:
    return [
        _chart(lines, "players", "x and y", {"x": "x", "y": "y"}, level=Level(0.0, "equilibrium")),
        _chart(lines, "distance", "Distance from the equilibrium", {"distance": "distance"}, low=0.0),
        _chart(lines, "turns", "Turns around the equilibrium", {"turns": "turns"}, low=0.0),
    ]


def _of_gan(lines: Sequence[Line], options: PlayOptions) -> list[Chart]:
    is_probability, is_plane = options.loss in CROSS_ENTROPIES, options.data != "images"
    outputs = "D's probability of “real”" if is_probability else "D's outputs"
    fresh = "fresh points" if is_plane else "held-out images"
    value = f"Value V(D, G), {fresh}" if is_probability else f"Minus D's loss, {fresh}"
    low, high = (0.0, 1.0) if is_probability else (None, None)
    charts = [
        _chart(lines, "value", value, {"value": "V"}, level=_BEST_VALUE if is_probability else None),
        _modes(lines) if is_plane else _diversity(lines),
        _chart(lines, "outputs", outputs, {"d_real": "D(x)", "d_fake": "D(G(z))"}, low, high),
        _chart(lines, "losses", "Losses", {"loss_d": "D", "loss_g": "G"}),
        _chart(lines, "gradients", "Gradient norms", {"gradient_d": "D", "gradient_g": "G"}, log=True),
    ]
    # of images nobody knows the divergence, and only a cross-entropy bounds it
    return [_divergence(lines, is_plane, is_probability), *charts] if is_plane or is_probability else charts


def _divergence(lines: Sequence[Line], is_known: bool, is_bounded: bool) -> Chart:
    title = "Divergence (JSD), nats" if is_known else "Bound of the divergence (JSD), nats"
    curves = ({"jsd": "divergence"} if is_known else {}) | ({"bound": "bound from D"} if is_bounded else {})
    return _chart(lines, "jsd", title, curves, low=0.0, level=_GREATEST_JSD)


def _modes(lines: Sequence[Line]) -> Chart:
    level = Level(_last(lines, "all_modes"), "all modes")
    return _chart(lines, "modes", "Modes with drawn points", {"modes": "modes with points"}, low=0.0, level=level)


def _diversity(lines: Sequence[Line]) -> Chart:
    curves = {"diversity": "diversity"}
    return _chart(lines, "diversity", "Diversity of the drawn images", curves, low=0.0, level=_DATA_DIVERSITY)


def _last(lines: Sequence[Line], name: str) -> float:
    return lines[-1].numbers.get(name, 1.0) if lines else 1.0


def _chart(
    lines: Sequence[Line],
    name: str,
    title: str,
    names: dict[str, str],
    low: float | None = None,
    high: float | None = None,
    level: Level | None = None,
    log: bool = False,
) -> Chart:
    curves = [Curve(label, _points(lines, key, log), place) for place, (key, label) in enumerate(names.items())]
    last = lines[-1].step if lines else 0
    return Chart(name, title, curves, last, level, low, high, log, absent="No step has been made yet.")


def _points(lines: Sequence[Line], name: str, log: bool) -> list[Point]:
    """Those that an axis can show."""
    pairs = ((line.step, line.numbers.get(name, math.nan)) for line in lines)
    return [(step, value) for step, value in pairs if math.isfinite(value) and (value > 0 or not log)]
