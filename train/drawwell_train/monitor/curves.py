"""`drawwell curves`: the numbers of a run as ``curves.png``, and its sample sheets as the animation ``samples.webp``."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from drawwell import atomic_files as files
from drawwell import terminal
from drawwell_train.monitor.conditions import COLLAPSE, D_FAKE_STD, NAN, OSCILLATION, STRONG, WEAK
from drawwell_train.monitor.film import film
from drawwell_train.run.run_folder import Run, RunError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Lines = Sequence[dict[str, Any]]

_COLOURS = {STRONG: "tab:red", WEAK: "tab:purple", OSCILLATION: "gold", COLLAPSE: "black", NAN: "magenta"}


@dataclass(frozen=True)
class CurvesConfig:
    """Draw the curves and the samples of a run, finished or not. Writes curves.png (losses, outputs, gradients, diversity, KID) and
    samples.webp (an animation of the sample sheets) into the run folder."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder that `drawwell train` wrote."""


def main(config: CurvesConfig) -> None:
    """Run `drawwell curves`: write both files and print their paths. Raises ``RunError`` for a folder without numbers of a training."""
    run = Run(config.run)
    if not run.stats():
        raise RunError(
            f"{config.run}: is no run folder, or its training has logged no line yet; name a folder that drawwell train wrote"
        )
    console = terminal.console()
    for file in draw(run):
        console.print(str(file))


def draw(run: Run) -> list[Path]:
    """Write ``curves.png`` if the run has numbers and ``samples.webp`` if it has sample sheets, and return their paths."""
    contents = {
        "curves.png": _curves(run.stats(), str(run.path)) if run.stats() else b"",
        "samples.webp": film(run.sheets()),
    }
    drawn = {run.path / name: content for name, content in contents.items() if content}
    for file, content in drawn.items():
        files.write(file, content)
    return list(drawn)


def _curves(lines: Lines, title: str) -> bytes:
    """A PNG of six panels over the steps; steps at which a named condition was active are shaded."""
    from matplotlib.figure import Figure  # not pyplot: it would look for a display
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
    plain = title.encode("ascii", "backslashreplace").decode()  # the font lacks some letters of paths
    figure.suptitle(plain, parse_math=False)
    if shades:
        figure.legend(handles=shades, loc="outside lower center", ncols=len(shades))
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return png.getvalue()


def _losses(panel: "Axes", lines: Lines) -> None:
    panel.set_title("losses (nats)" if _gives_probabilities(lines) else "losses")
    _plot(panel, lines, loss_d="discriminator", loss_g="generator")


def _outputs(panel: "Axes", lines: Lines) -> None:
    if _gives_probabilities(lines):
        panel.set_title("probability of being real, by the discriminator")
        panel.set_ylim(-0.02, 1.02)
        _plot(
            panel,
            lines,
            d_real="real images: D(x)",
            d_fake="generated images: D(G(z))",
            accuracy_d="share of correct answers",
        )
    else:
        panel.set_title("outputs of the discriminator (no fixed scale)")
        _plot(panel, lines, d_real="real images: f(x)", d_fake="generated images: f(G(z))")


def _gradients(panel: "Axes", lines: Lines) -> None:
    panel.set_title("gradient norms")
    panel.set_yscale("log")
    _plot(panel, lines, gradient_d="discriminator", gradient_g="generator")


def _value(panel: "Axes", lines: Lines) -> None:
    probable = any("jsd" in line for line in lines)
    panel.set_title("value function V(D, G) on held-out images" if probable else "minus D's loss on held-out images")
    _plot(panel, lines, value="V")
    if probable:
        panel.axhline(-2 * math.log(2), color="grey", linestyle="--", label="perfect G: -2 log 2")


def _divergence(panel: "Axes", lines: Lines) -> None:
    probable = any("jsd" in line for line in lines)
    panel.set_title(f"Jensen-Shannon divergence{': lower bound (nats)' if probable else ': not defined for this loss'}")
    _plot(panel, lines, jsd="log 2 - loss / 2 on held-out images")
    panel.axhline(math.log(2), color="grey", linestyle="--", label="maximum: log 2")
    panel.set_ylim(-0.02, 0.72)


def _diversity(panel: "Axes", lines: Lines) -> None:
    panel.set_title("diversity of the generated images")
    _plot(panel, lines, diversity="distance to the nearest other")
    panel.axhline(1, color="grey", linestyle="--", label="data")
    panel.set_ylim(bottom=0)
    _kid(panel, [(line["step"], line["kid"]) for line in lines if "kid" in line])


def _kid(panel: "Axes", points: list[tuple[int, float]]) -> None:
    """KID on its own scale, with the lowest value marked: its checkpoint is kept as the best."""
    if not points:
        return
    right = panel.twinx()
    panel.set_title("diversity and KID of the generated images")
    right.plot(*zip(*points, strict=True), color="tab:green", marker=".", linewidth=1.2)
    right.plot(*min(reversed(points), key=lambda point: point[1]), color="tab:green", marker="o")
    right.set_ylabel("KID")
    right.margins(x=0)
    panel.plot([], [], label="KID (right axis), lowest marked", color="tab:green", marker="o")


def _spans(lines: Lines, name: str) -> list[tuple[int, int]]:
    """The ranges of steps, from one line to the next, in which a condition was active."""
    steps = [0, *(line["step"] for line in lines)]
    return [
        (before, line["step"]) for before, line in zip(steps, lines, strict=False) if name in line.get("conditions", ())
    ]


def _gives_probabilities(lines: Lines) -> bool:
    """Whether D's outputs are probabilities: those of a critic, and logits with the hinge loss, are not."""
    return any(D_FAKE_STD in line for line in lines)


def _plot(panel: "Axes", lines: Lines, **labels: str) -> None:
    for name, label in labels.items():
        points = [(line["step"], line[name]) for line in lines if name in line] or [(math.nan, math.nan)]
        marker = "." if len(points) < 40 else None
        absent = "" if name in lines[0] else " (not measured)"
        panel.plot(*zip(*points, strict=True), label=label + absent, marker=marker, linewidth=1.2)
