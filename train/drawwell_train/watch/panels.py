"""Which numbers of a run are shown in which chart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drawwell_train.monitor.conditions import D_FAKE_STD
from drawwell_train.watch.charts import Chart, Curve, Level
from drawwell_train.watch.snapshot import Snapshot
from drawwell_train.watch.words import number

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
    """A chart for each number, with a curve for each run."""
    return [_comparison(panel, name, runs) for panel in PANELS for name in panel.names]


def _chart(panel: Panel, run: Snapshot) -> Chart:
    curves = [Curve(label, run.curve(name), place) for place, (name, label) in enumerate(panel.names.items())]
    lowest = min(run.curve("kid"), key=lambda point: point[1], default=None) if panel.id == "kid" else None
    return Chart(
        id=panel.id,
        title=_title(panel, [run]) + (", lowest marked" if lowest else ""),
        curves=curves,
        last_step=run.step,
        bands=run.bands,
        absent=_why_no_kid(run) if panel.id == "kid" else panel.absent,
        marked=lowest,
        **_scale(panel, [run]),
    )


def _comparison(panel: Panel, name: str, runs: Sequence[Snapshot]) -> Chart:
    title = _title(panel, runs)
    return Chart(
        id=name,
        title=f"{title}: {panel.names[name]}" if len(panel.names) > 1 else title,
        curves=[Curve(run.name, run.curve(name), place) for place, run in enumerate(runs)],
        last_step=max(run.step for run in runs),
        absent="Neither run has this number.",
        **_scale(panel, runs),
    )


def _title(panel: Panel, runs: Sequence[Snapshot]) -> str:
    return panel.title if _has_scale(panel, runs) else panel.otherwise


def _scale(panel: Panel, runs: Sequence[Snapshot]) -> dict[str, Any]:
    if not _has_scale(panel, runs):
        return {"log": panel.log}
    return {"level": panel.level, "low": panel.low, "high": panel.high, "log": panel.log}


def _has_scale(panel: Panel, runs: Sequence[Snapshot]) -> bool:
    """Whether title and bounds of a panel hold: D's outputs are probabilities, or, for the value, its optimum is known."""
    name = "jsd" if panel.id == "value" else D_FAKE_STD
    return not panel.of_probabilities or all(run.curve(name) or not run.last for run in runs)


def _why_no_kid(run: Snapshot) -> str:
    every = run.count("kid_every")
    if every is None:
        return "Not measured in this run."
    return f"Measured every {number(every)} steps where the extra `eval` is installed; not yet in this run."
