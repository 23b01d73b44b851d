"""The named conditions of a training that goes wrong: when each begins and ends, and one plain sentence for both."""

import math
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drawwell_train.presets import Loss

Means = Mapping[str, float]

STRONG, WEAK, OSCILLATION, COLLAPSE, NAN = (
    "discriminator too strong",
    "discriminator too weak",
    "oscillation",
    "mode collapse",
    "NaN",
)

_WINDOW_STEPS = 100
"""What is judged together: single steps are too noisy."""
_NEEDED = {"d_real", "d_fake", "gradient_g"}
"""A line without these says nothing of how training goes: that of NaN has none."""
_FIRST_STEP = 200
"""Before it everything changes: a fresh discriminator is weak, and the images of a fresh generator are all alike."""


@dataclass(frozen=True)
class Condition:
    """Active from where its signal passes ``begins`` to where it is back beyond ``ends``, apart so that it does not flicker.

    The signal is taken of means over the last steps, and is None where it is not measured. Low is bad where ``begins`` is
    not above ``ends``, else high is.
    """

    name: str
    signal: Callable[[Means], float | None]
    begins: float
    ends: float
    began: str
    ended: str
    """Both continue the name, and are formatted with the means."""

    def holds(self, means: Means, active: bool) -> bool:
        """Whether it is active now, given whether it was before."""
        signal = self.signal(means)
        if signal is None:
            return active
        threshold = self.ends if active else self.begins
        return signal < threshold if self.begins <= self.ends else signal > threshold


class Watch:
    """The conditions of a run, over its lines of ``stats.jsonl``. Given the earlier ones, it goes on where it was."""

    def __init__(self, loss: Loss, earlier: Iterable[Mapping[str, Any]] = ()) -> None:
        self._conditions = conditions_of(loss)
        self._lines: deque[Mapping[str, Any]] = deque()
        self.active: tuple[str, ...] = ()
        for line in earlier:
            self.look(line)

    def look(self, line: Mapping[str, Any]) -> list[str]:
        """Take one more line. Returns a sentence for every condition that begins or ends with it."""
        if not line.keys() >= _NEEDED:
            return []
        self._lines.append(line)
        while self._lines[0]["step"] <= line["step"] - _WINDOW_STEPS:
            self._lines.popleft()
        if line["step"] < _FIRST_STEP:
            return []
        means, before = _means(self._lines), self.active
        self.active = tuple(one.name for one in self._conditions if one.holds(means, one.name in before))
        return [
            f"step {line['step']:,}: {one.name} {(one.began if one.name in self.active else one.ended).format(**means)}"
            for one in self._conditions
            if (one.name in before) != (one.name in self.active)
        ]


def _means(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means of what all lines have; of ``swing`` that of the steadier half, since D(G(z)) may go up or down once."""
    together = [{name: value for name, value in line.items() if isinstance(value, int | float)} for line in lines]
    shared = set.intersection(*map(set, together))
    means = {name: statistics.fmean(line[name] for line in together) for name in shared}
    if "swing" in means:
        middle = together[-1]["step"] - _WINDOW_STEPS / 2
        halves = (
            [line for line in together if line["step"] > middle],
            [line for line in together if line["step"] <= middle],
        )
        means["swing"] = min(_deviation(half) for half in halves if half)
    return means


def _deviation(lines: Sequence[Means]) -> float:
    """The standard deviation of D(G(z)) over all steps of some lines, from that within each and that of their means."""
    within = statistics.fmean(line["swing"] ** 2 for line in lines)
    return math.sqrt(within + statistics.pvariance(line["d_fake"] for line in lines))


def _doubt(means: Means) -> float | None:
    """How far D is from being always right and sure."""
    return max(1 - means["accuracy_d"], means["d_fake"]) if "accuracy_d" in means else None


def _gap(means: Means) -> float | None:
    return means["d_real"] - means["d_fake"]


def conditions_of(loss: Loss) -> tuple[Condition, ...]:
    """Those that can be told with this loss. A critic's numbers have no scale: of it only which is larger is known. Those of the hinge
    loss have the margin 1, and say no probability.
    """
    # what minimax teaches is in proportion to D(G(z)): below 0.01 it is a hundredth of the most (Goodfellow et al. 2014,
    # section 3; Arjovsky and Bottou 2017, theorem 2.4). The other keeps its scale: good runs were seen to come back from 0.004
    doubt = 0.01 if loss == "minimax" else 0.001
    strong = Condition(
        STRONG,
        _doubt,
        doubt,
        5 * doubt,
        "begins: it is hardly ever wrong (D(G(z)) {d_fake:.1g}), so the generator's gradient, now {gradient_g:.1g}, vanishes or "
        "tells little; --loss non-saturating, --label-smoothing 0.1, --d-norm spectral or --diffaugment help",
        "ends: it can be fooled again (D(G(z)) {d_fake:.2g})",
    )
    # a fair coin has no gap; where the images are as good as the data it has none either
    critic = loss == "wasserstein"
    weak = Condition(
        WEAK,
        _gap,
        0.0 if critic else 0.01,
        0.0 if critic else 0.03,
        "begins: it tells real images from generated ones no better than a coin (D(x) {d_real:.2g}, D(G(z)) {d_fake:.2g}), so the "
        "generator learns nothing from it; unless the samples are as good as the data, more --d-steps or smaller --r1 and --r2 help",
        "ends: it tells real images from generated ones (D(x) {d_real:.2g}, D(G(z)) {d_fake:.2g})",
    )
    # of D(G(z)), the mean of a batch of 64: chance alone makes 0.06 at most, good runs were seen at up to 0.13
    oscillation = Condition(
        OSCILLATION,
        lambda means: means.get("swing"),
        0.15,
        0.1,
        "begins: generator and discriminator beat each other in turn (D(G(z)) {d_fake:.2f}, give or take {swing:.2f}); a lower "
        "--learning-rate or a larger --batch-size helps",
        "ends: D(G(z)) is steady ({d_fake:.2f}, give or take {swing:.2f})",
    )
    # an untrained generator has 0.15 and more
    collapse = Condition(
        COLLAPSE,
        lambda means: means.get("diversity"),
        0.05,
        0.1,
        "begins: the generator draws nearly the same few images whatever the latents (diversity {diversity:.2f}, the data's is 1); "
        "an earlier checkpoint, --pack 2, another --seed or preset wgan-gp help",
        "ends: the generator's images differ again (diversity {diversity:.2f}, the data's is 1)",
    )
    return (weak, collapse) if loss in ("wasserstein", "hinge") else (strong, weak, oscillation, collapse)
