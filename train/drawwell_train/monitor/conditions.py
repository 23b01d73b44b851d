"""Named conditions of a training that goes wrong: when each begins and ends, and a sentence for both."""

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

NAN_WARNING = (
    "a loss, a weight or a measure became NaN or infinite at this step or shortly before, and training stopped"
)
NAN_ADVICE = "Try a lower --learning-rate in another run folder, --precision float32, or smaller --r1 and --r2"

D_FAKE_STD = "swing"
"""The key in ``stats.jsonl`` for the standard deviation of D(G(z)) over the steps of a line."""

WINDOW_STEPS = 100
"""Conditions are judged by means over so many steps: single steps are too noisy."""
_NEEDED_KEYS = {"d_real", "d_fake", "gradient_g"}
"""Lines without these keys are not judged: the line of NaN has none of them."""
_FIRST_JUDGED_STEP = 200
"""At the start every run looks bad: a new discriminator is weak, and the images of a new generator are all alike."""


@dataclass(frozen=True)
class Condition:
    """A condition begins when its signal passes ``begins`` and ends when the signal is back beyond ``ends``.

    The thresholds differ, so that the condition does not flicker. ``signal`` maps means over the last steps to a number, or to
    None if it was not measured. A low signal is bad if ``begins <= ends``, else a high one.
    """

    name: str
    signal: Callable[[Means], float | None]
    begins: float
    ends: float
    warning: str
    recovery: str
    """``warning`` and ``recovery`` continue the name as sentences, and are formatted with the means."""

    def holds(self, means: Means, active: bool) -> bool:
        """Return whether the condition is active now, given whether it was ``active`` before."""
        signal = self.signal(means)
        if signal is None:
            return active
        threshold = self.ends if active else self.begins
        return signal < threshold if self.begins <= self.ends else signal > threshold

    def sentence(self, begins: bool, means: Means) -> str:
        """Return what follows the name when the condition begins, or else ends. Raises ``KeyError`` if a number is missing."""
        return (self.warning if begins else self.recovery).format(**means)


class Watch:
    """The conditions of a run, judged line by line of ``stats.jsonl``. With the ``earlier`` lines of a run it continues their state."""

    def __init__(self, loss: Loss, earlier: Iterable[Mapping[str, Any]] = ()) -> None:
        self._conditions = conditions_of(loss)
        self._lines: deque[Mapping[str, Any]] = deque()
        self.active: tuple[str, ...] = ()
        for line in earlier:
            self.look(line)

    def look(self, line: Mapping[str, Any]) -> list[str]:
        """Judge one more line. Returns a sentence for each condition that begins or ends with it."""
        if not line.keys() >= _NEEDED_KEYS:
            return []
        self._lines.append(line)
        while self._lines[0]["step"] <= line["step"] - WINDOW_STEPS:
            self._lines.popleft()
        if line["step"] < _FIRST_JUDGED_STEP:
            return []
        means, before = _means(self._lines), self.active
        self.active = tuple(one.name for one in self._conditions if one.holds(means, one.name in before))
        return [
            f"step {line['step']:,}: {one.name} {one.sentence(one.name in self.active, means)}"
            for one in self._conditions
            if (one.name in before) != (one.name in self.active)
        ]


def sentence_of(name: str, begins: bool, lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the sentence that training said when a condition began or ended.

    Args:
        name: the condition.
        begins: whether it began; else it ended.
        lines: of ``stats.jsonl``, the last one at that step; lines that are more than 100 steps older do not count.
    """
    if name == NAN:
        return f"{NAN}: {NAN_WARNING}. {NAN_ADVICE}"
    known = {
        one.name: one for one in conditions_of("non-saturating")
    }  # all of them; the loss changes thresholds, not words
    judged = [line for line in lines if line.keys() >= _NEEDED_KEYS and line["step"] > lines[-1]["step"] - WINDOW_STEPS]
    try:
        return f"{name} {known[name].sentence(begins, _means(judged))}"
    except (KeyError, ValueError, TypeError):  # a condition of another version of drawwell, or numbers are missing
        return f"{name} {'begins' if begins else 'ends'}"


def _means(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means of the numbers that all lines have, and ``d_fake_std``: the standard deviation of D(G(z)) in the steadier half.

    Only the steadier half counts, because D(G(z)) may rise or fall once without an oscillation.
    """
    together = [{name: value for name, value in line.items() if isinstance(value, int | float)} for line in lines]
    shared = set.intersection(*map(set, together))
    means = {name: statistics.fmean(line[name] for line in together) for name in shared}
    if D_FAKE_STD in means:
        middle = together[-1]["step"] - WINDOW_STEPS / 2
        halves = (
            [line for line in together if line["step"] > middle],
            [line for line in together if line["step"] <= middle],
        )
        means["d_fake_std"] = min(_d_fake_std(half) for half in halves if half)
    return means


def _d_fake_std(lines: Sequence[Means]) -> float:
    """The standard deviation of D(G(z)) over all steps of some lines: the variance within lines plus the variance of their means."""
    within = statistics.fmean(line[D_FAKE_STD] ** 2 for line in lines)
    return math.sqrt(within + statistics.pvariance(line["d_fake"] for line in lines))


def _d_uncertainty(means: Means) -> float | None:
    """The larger of D's share of wrong answers and D(G(z)): 0 for a D that is always right and certain."""
    return max(1 - means["accuracy_d"], means["d_fake"]) if "accuracy_d" in means else None


def _d_gap(means: Means) -> float | None:
    return means["d_real"] - means["d_fake"]


def conditions_of(loss: Loss) -> tuple[Condition, ...]:
    """Return the conditions that can be judged with ``loss``.

    The outputs of a critic have no scale: only their order is known. The outputs with the hinge loss have the margin 1, and are no
    probabilities.
    """
    # With minimax the generator's gradient is in proportion to D(G(z)): below 0.01 it is a hundredth of the most (Goodfellow et al.
    # 2014, section 3; Arjovsky and Bottou 2017, theorem 2.4). With other losses it keeps its scale, and good runs came back from 0.004.
    least_uncertainty = 0.01 if loss == "minimax" else 0.001
    strong = Condition(
        STRONG,
        _d_uncertainty,
        least_uncertainty,
        5 * least_uncertainty,
        "begins: D is almost never wrong (D(G(z)) {d_fake:.1g}), so the generator's gradient (norm {gradient_g:.1g}) vanishes or "
        "carries little information. Try --loss non-saturating, --label-smoothing 0.1, --d-norm spectral or --diffaugment",
        "ends: the generator can fool D again (D(G(z)) {d_fake:.2g})",
    )
    # A fair coin has no gap. Generated images as good as the data leave no gap either.
    critic = loss == "wasserstein"
    weak = Condition(
        WEAK,
        _d_gap,
        0.0 if critic else 0.01,
        0.0 if critic else 0.03,
        "begins: D tells real images from generated ones no better than a coin (D(x) {d_real:.2g}, D(G(z)) {d_fake:.2g}), so the "
        "generator learns nothing from it. Try more --d-steps or smaller --r1 and --r2, unless the samples are as good as the data",
        "ends: D tells real images from generated ones again (D(x) {d_real:.2g}, D(G(z)) {d_fake:.2g})",
    )
    # D(G(z)) is the mean of a batch of 64: chance alone makes a standard deviation of 0.06 at most, good runs had up to 0.13.
    oscillation = Condition(
        OSCILLATION,
        lambda means: means.get("d_fake_std"),
        0.15,
        0.1,
        "begins: generator and discriminator beat each other in turn (D(G(z)) {d_fake:.2f}, standard deviation {d_fake_std:.2f}). "
        "Try a lower --learning-rate or a larger --batch-size",
        "ends: D(G(z)) is steady ({d_fake:.2f}, standard deviation {d_fake_std:.2f})",
    )
    # An untrained generator has a diversity of 0.15 and more.
    collapse = Condition(
        COLLAPSE,
        lambda means: means.get("diversity"),
        0.05,
        0.1,
        "begins: the generator draws nearly the same few images for all latents (diversity {diversity:.2f}, the data's is 1). "
        "Go back to an earlier checkpoint, or try --pack 2, another --seed or --preset wgan-gp",
        "ends: the generator's images differ again (diversity {diversity:.2f}, the data's is 1)",
    )
    return (weak, collapse) if loss in ("wasserstein", "hinge") else (strong, weak, oscillation, collapse)
