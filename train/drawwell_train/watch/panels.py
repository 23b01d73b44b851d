"""Which numbers of a run are shown in which chart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from drawwell_train.monitor.conditions import COLLAPSE, D_FAKE_STD, NAN, OSCILLATION, STRONG, WEAK
from drawwell_train.watch.charts import Band, Chart, Curve, Level, Point
from drawwell_train.watch.watched_run import Snapshot
from drawwell_train.watch.words import number

CONDITIONS = (STRONG, WEAK, OSCILLATION, COLLAPSE, NAN)
"""Their place is the number of their colour; a condition of another version has the number after the last."""

_BEST_VALUE = Level(-2 * math.log(2), "-2 log 2: perfect G")
_GREATEST_JSD = Level(math.log(2), "log 2: greatest")
_DATA_DIVERSITY = Level(1.0, "the data's")


@dataclass(frozen=True)
class Panel:
    """A chart of numbers of ``stats.jsonl``, by their names there.

    Attributes:
        low: a value that the axis begins at or below, as in ``Chart``.
        of_probabilities: whether ``title``, ``level`` and ``high`` hold only where D's outputs are probabilities.
        otherwise: the title where they are not.
        absent: why a run may have no such numbers.
    """

    id: str
    title: str
    names: dict[str, str]
    low: float | None = None
    high: float | None = None
    level: Level | None = None
    log: bool = False
    of_probabilities: bool = False
    otherwise: str = ""
    absent: str = "No such number yet."


_FEW_IMAGES = "Not measured: the data has too few images to hold some out of training."
PANELS = (
    Panel("losses", "Losses", {"loss_d": "D", "loss_g": "G"}),
    Panel(
        "outputs",
        "D's probability of “real”",
        {"d_real": "D(x)", "d_fake": "D(G(z))"},
        low=0.0,
        high=1.0,
        of_probabilities=True,
        otherwise="D's outputs (no fixed scale)",
    ),
    Panel(
        "accuracy",
        "Share of images that D classifies right",
        {"accuracy_d": "D right"},
        low=0.0,
        high=1.0,
        absent="A critic does not classify.",
    ),
    Panel(
        "value",
        "Value V(D, G), held-out images",
        {"value": "V"},
        level=_BEST_VALUE,
        of_probabilities=True,
        otherwise="Minus D's loss, held-out images",
        absent=_FEW_IMAGES,
    ),
    Panel(
        "jsd",
        "JS divergence, lower bound",
        {"jsd": "JSD at least"},
        low=0.0,
        level=_GREATEST_JSD,
        absent="Only losses that are cross-entropies give this bound.",
    ),
    Panel("diversity", "Diversity of the drawn images", {"diversity": "diversity"}, low=0.0, level=_DATA_DIVERSITY),
    Panel("kid", "KID", {"kid": "KID"}),
    Panel("gradients", "Gradient norms", {"gradient_d": "D", "gradient_g": "G"}, log=True),
    Panel("speed", "Images per second", {"images_per_second": "images/s"}, low=0.0),
)


def charts_of(run: Snapshot) -> list[Chart]:
    """The charts of one run, shaded where a condition was active."""
    return [_chart(panel, run) for panel in PANELS]


def compared(runs: Sequence[Snapshot]) -> list[Chart]:
    """A chart for each number, with a curve for each run. Numbers that no run has are left out."""
    charts = [_comparison(panel, name, runs) for panel in PANELS for name in panel.names]
    return [chart for chart in charts if any(curve.points for curve in chart.curves)]


def _chart(panel: Panel, run: Snapshot) -> Chart:
    curves = [Curve(label, _points(run, name), place) for place, (name, label) in enumerate(panel.names.items())]
    lowest = min(curves[0].points, key=lambda point: point[1], default=None) if panel.id == "kid" else None
    plain = panel.of_probabilities and not _gives_probabilities(run, panel)
    return Chart(
        id=panel.id,
        title=(panel.otherwise if plain else panel.title) + (", lowest marked" if lowest else ""),
        curves=curves,
        last_step=run.step,
        level=None if plain else panel.level,
        low=None if plain else panel.low,
        high=None if plain else panel.high,
        log=panel.log,
        bands=bands_of(run),
        absent=_why_no_kid(run) if panel.id == "kid" else panel.absent,
        marked=lowest,
    )


def _comparison(panel: Panel, name: str, runs: Sequence[Snapshot]) -> Chart:
    plain = panel.of_probabilities and not all(_gives_probabilities(run, panel) for run in runs)
    title = panel.otherwise if plain else panel.title
    return Chart(
        id=name,
        title=f"{title}: {panel.names[name]}" if len(panel.names) > 1 else title,
        curves=[Curve(run.name, _points(run, name), place) for place, run in enumerate(runs)],
        last_step=max(run.step for run in runs),
        level=None if plain else panel.level,
        low=None if plain else panel.low,
        high=None if plain else panel.high,
        log=panel.log,
    )


def _points(run: Snapshot, name: str) -> list[Point]:
    lines = run.kids if name == "kid" else run.lines
    return [(line["step"], line[name]) for line in lines if name in line]


def _gives_probabilities(run: Snapshot, panel: Panel) -> bool:
    """Whether D's outputs are probabilities; of the value, whether its optimum is known."""
    name = "jsd" if panel.id == "value" else D_FAKE_STD
    return any(name in line for line in run.lines)


def _why_no_kid(run: Snapshot) -> str:
    every = run.count("kid_every")
    if every is None:
        return "Not measured in this run."
    return f"Measured every {number(every)} steps where the extra `eval` is installed; not yet in this run."


def bands_of(run: Snapshot) -> list[Band]:
    """A band for each time at which a condition was active, up to now if it still is."""
    open_since: dict[str, float] = {}
    bands = []
    for change in run.changes:
        bands += [Band(open_since.pop(name, 0), change.step, colour_of(name)) for name in change.ended]
        open_since |= dict.fromkeys(change.began, change.step)
    return bands + [Band(since, run.step, colour_of(name)) for name, since in open_since.items()]


def colour_of(condition: str) -> int:
    """The number of the colour of a condition."""
    return CONDITIONS.index(condition) if condition in CONDITIONS else len(CONDITIONS)
