"""`drawwell curves`: the lines of a run as ``curves.png``, and its sample sheets one after another as ``samples.webp``."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from drawwell import atomic_files as files
from drawwell import terminal
from drawwell_train.monitor.conditions import COLLAPSE, NAN, OSCILLATION, STRONG, WEAK
from drawwell_train.monitor.film import film
from drawwell_train.run.run_folder import Run, RunError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Lines = Sequence[dict[str, Any]]

_COLOURS = {STRONG: "tab:red", WEAK: "tab:purple", OSCILLATION: "gold", COLLAPSE: "black", NAN: "magenta"}


@dataclass(frozen=True)
class CurvesConfig:
    """Draw what happened in a run, finished or not: curves.png and samples.webp, into its folder."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""


def main(config: CurvesConfig) -> None:
    """Draw both, and say where they are. Raises ``RunError`` for a folder without lines of a training."""
    run = Run(config.run)
    if not run.stats():
        raise RunError(
            f"{config.run}: there is no line in a stats.jsonl here: it is no run folder, or nothing was logged yet"
        )
    console = terminal.console()
    for file in draw(run):
        console.print(str(file))


def draw(run: Run) -> list[Path]:
    """Write ``curves.png`` and ``samples.webp``, each where there is something to draw, and return their paths."""
    contents = {
        "curves.png": _curves(run.stats(), str(run.path)) if run.stats() else b"",
        "samples.webp": film(run.sheets()),
    }
    drawn = {run.path / name: content for name, content in contents.items() if content}
    for file, content in drawn.items():
        files.write(file, content)
    return list(drawn)


def _curves(lines: Lines, title: str) -> bytes:
    """A PNG of six panels over the steps, which are shaded where a named condition held."""
    from matplotlib.figure import Figure  # and not pyplot, which would look for a display
    from matplotlib.patches import Patch

    figure = Figure(figsize=(14, 8), layout="constrained")
    panels = list(figure.subplots(2, 3, sharex=True).flat)
    for panel, plot in zip(panels, (_losses, _outputs, _gradients, _value, _divergence, _diversity), strict=True):
        plot(panel, lines)
        for name, colour in _COLOURS.items():
            for first, last in _spans(lines, name):
                panel.axvspan(first, last, color=colour, alpha=0.2, linewidth=0)
        panel.grid(alpha=0.3)
        panel.margins(x=0)
        panel.legend(fontsize="small")
    for panel in panels[3:]:
        panel.set_xlabel("step")
    shades = [Patch(color=colour, alpha=0.3, label=name) for name, colour in _COLOURS.items() if _spans(lines, name)]
    plain = title.encode("ascii", "backslashreplace").decode()  # the font has not every letter of every path
    figure.suptitle(plain, parse_math=False)
    if shades:
        figure.legend(handles=shades, loc="outside lower center", ncols=len(shades))
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return png.getvalue()


def _losses(panel: "Axes", lines: Lines) -> None:
    panel.set_title("losses (nats)" if _judges(lines) else "losses")
    _plot(panel, lines, loss_d="discriminator", loss_g="generator")


def _outputs(panel: "Axes", lines: Lines) -> None:
    if _judges(lines):
        panel.set_title("how real the discriminator finds")
        panel.set_ylim(-0.02, 1.02)
        _plot(
            panel,
            lines,
            d_real="real images: D(x)",
            d_fake="generated ones: D(G(z))",
            accuracy_d="its right answers (share)",
        )
    else:
        panel.set_title("outputs of the discriminator, which have no scale")
        _plot(panel, lines, d_real="real images: f(x)", d_fake="generated ones: f(G(z))")


def _gradients(panel: "Axes", lines: Lines) -> None:
    panel.set_title("gradient norms")
    panel.set_yscale("log")
    _plot(panel, lines, gradient_d="discriminator", gradient_g="generator")


def _value(panel: "Axes", lines: Lines) -> None:
    probable = any("jsd" in line for line in lines)
    panel.set_title("value function V(D, G), held-out images" if probable else "minus D's loss, held-out images")
    _plot(panel, lines, value="V")
    if probable:
        panel.axhline(-2 * math.log(2), color="grey", linestyle="--", label="where G is perfect: -2 log 2")


def _divergence(panel: "Axes", lines: Lines) -> None:
    probable = any("jsd" in line for line in lines)
    panel.set_title(f"Jensen-Shannon divergence{', at least (nats)' if probable else ': this loss tells none'}")
    _plot(panel, lines, jsd="log 2 - loss / 2, held-out images")
    panel.axhline(math.log(2), color="grey", linestyle="--", label="the most there is: log 2")
    panel.set_ylim(-0.02, 0.72)


def _diversity(panel: "Axes", lines: Lines) -> None:
    panel.set_title("diversity of the generated images")
    _plot(panel, lines, diversity="distance to the nearest other")
    panel.axhline(1, color="grey", linestyle="--", label="of the data")
    panel.set_ylim(bottom=0)
    _kid(panel, [(line["step"], line["kid"]) for line in lines if "kid" in line])


def _kid(panel: "Axes", points: list[tuple[int, float]]) -> None:
    """On a scale of its own, with the least marked: that checkpoint is kept."""
    if not points:
        return
    right = panel.twinx()
    panel.set_title("diversity of the generated images, and their KID")
    right.plot(*zip(*points, strict=True), color="tab:green", marker=".", linewidth=1.2)
    right.plot(*min(reversed(points), key=lambda point: point[1]), color="tab:green", marker="o")
    right.set_ylabel("KID")
    right.margins(x=0)
    panel.plot([], [], label="KID (on the right), the least marked", color="tab:green", marker="o")


def _spans(lines: Lines, name: str) -> list[tuple[int, int]]:
    """The steps of each line in which a condition held: from the line before."""
    steps = [0, *(line["step"] for line in lines)]
    return [
        (before, line["step"]) for before, line in zip(steps, lines, strict=False) if name in line.get("conditions", ())
    ]


def _judges(lines: Lines) -> bool:
    """Whether D gives probabilities, which a critic's numbers and the logits of the hinge loss are not."""
    return any("swing" in line for line in lines)


def _plot(panel: "Axes", lines: Lines, **labels: str) -> None:
    for name, label in labels.items():
        points = [(line["step"], line[name]) for line in lines if name in line] or [(math.nan, math.nan)]
        marker = "." if len(points) < 40 else None
        absent = "" if name in lines[0] else " (not measured)"
        panel.plot(*zip(*points, strict=True), label=label + absent, marker=marker, linewidth=1.2)
