"""Lessons: options, the condition that ends each, and a sentence about what was seen, with the numbers that were measured."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from drawwell_train.monitor.conditions import STRONG, WEAK
from drawwell_train.play.options import PlayOptions
from drawwell_train.play.views import Line

Lines = Sequence[Line]

_SWING = 0.25
"""A turn of the drawn points' mean counts if it moved so far since the last one; the side of the square is 1."""


@dataclass(frozen=True)
class Lesson:
    """A training with an end.

    Attributes:
        title: of its button.
        look: what to look at while it runs.
        options: of the training, from its first step on.
        ended: whether the lines so far show what the lesson is about.
        seen: the sentence at its end.
        most_steps: steps after which it is given up.
        pace: steps a second at most; None for as many as the machine makes.
    """

    title: str
    look: str
    options: PlayOptions
    ended: Callable[[Lines], bool]
    seen: Callable[[Lines], str]
    most_steps: int = 2000
    pace: int | None = None


def given_up(lesson: Lesson) -> str:
    """The sentence of a lesson that did not show what it is about."""
    return f"This was not seen within {lesson.most_steps:,} steps."


def turning_points(values: Sequence[float], least: float) -> int:
    """How often a series turned back after it had moved by more than ``least`` in one direction."""
    low = high = values[0]
    direction, turns = 0, 0
    for value in values:
        low, high = min(low, value), max(high, value)
        if direction >= 0 and value < high - least:
            turns, direction, low = turns + direction, -1, value
        elif direction <= 0 and value > low + least:
            turns, direction, high = turns - direction, 1, value
    return turns


_VANISHING = PlayOptions(data="clusters", loss="minimax", rate_d=0.02, rate_g=0.0001, d_steps=10)
_COLLAPSE = PlayOptions(g_steps=5)
_OSCILLATION = PlayOptions(rate_g=0.05)
_LEAST_TURNS = 10


def _is_vanished(lines: Lines) -> bool:
    return STRONG in lines[-1].conditions and all(line.numbers["gradient_g"] < 1e-3 for line in lines[-5:])


def _vanishing(lines: Lines) -> str:
    last = lines[-1].numbers
    return (
        f"After {lines[-1].step} steps D is certain: D(G(z)) is {last['d_fake']:.1g}. The gradient of log(1 - D(G(z))) is in proportion "
        f"to D(G(z)), and its norm is {last['gradient_g']:.1g}. So G has not moved: the divergence is {last['jsd']:.2f} nats, and its "
        f"greatest value is log 2 = {math.log(2):.2f}. The better D became, the less it told G."
    )


def _is_revived(lines: Lines) -> bool:
    return lines[-1].step >= 200 and all(line.numbers["gradient_g"] > 1 for line in lines[-5:]) and _fell(lines, 0.15)


def _revived(lines: Lines) -> str:
    last = lines[-1].numbers
    return (
        f"The same D, but G now minimises -log D(G(z)), whose gradient grows when D is certain. Its norm is {last['gradient_g']:.1f} after "
        f"{lines[-1].step} steps, {last['near']:.0%} of G's points reached the data, and the divergence fell to {last['jsd']:.2f} nats. "
        f"With minimax it stays at {math.log(2):.2f}."
    )


def _fell(lines: Lines, by: float) -> bool:
    return lines[-1].numbers["jsd"] < math.log(2) - by


def _is_collapsed(lines: Lines) -> bool:
    last = lines[-1].numbers
    few = all(line.numbers["modes"] <= 1 for line in lines[-20:])
    return lines[-1].step >= 200 and few and last["near"] > 0.9


def _collapsed(lines: Lines) -> str:
    last = lines[-1].numbers
    return (
        f"G makes five updates for each one of D and puts {last['near']:.0%} of its points on {last['modes']:.0f} of "
        f"{last['all_modes']:.0f} modes (step {lines[-1].step}). D sees one point at a time, so it cannot see that they are all alike."
    )


def _is_packed(lines: Lines) -> bool:
    return len(lines) >= 3 and all(line.numbers["modes"] >= 6 for line in lines[-3:])


def _packed(lines: Lines) -> str:
    last = lines[-1].numbers
    return (
        f"The same rates, but D sees four points together. Four points of one mode are a sign that they are drawn, so G must spread them: "
        f"after {lines[-1].step} steps they are on {last['modes']:.0f} of {last['all_modes']:.0f} modes, and the divergence is "
        f"{last['jsd']:.2f} nats. PacGAN (Lin et al. 2018) is this idea."
    )


def _turns(lines: Lines) -> int:
    return max(turning_points([line.numbers[axis] for line in lines], _SWING) for axis in ("x", "y"))


def _oscillated(lines: Lines) -> str:
    least = min(line.numbers["jsd"] for line in lines)
    return (
        f"G's learning rate is {_OSCILLATION.rate_g / PlayOptions().rate_g:.0f} times the default. Its points overshoot what D asks for: "
        f"within {lines[-1].step} steps their middle turned back {_turns(lines)} times, each time by more than a quarter of the square. "
        f"The divergence was never below {least:.2f} nats. Lower the rate while it runs, and the points settle."
    )


def _is_misled(lines: Lines) -> bool:
    return lines[-1].step >= 300 and WEAK in lines[-1].conditions and not _fell(lines, 0.05)


def _misled(lines: Lines) -> str:
    last, slower = lines[-1].numbers, PlayOptions().rate_d / _WEAK.rate_d
    return (
        f"D's learning rate is {slower:.0f} times lower than the default. After {lines[-1].step} steps D is no better than a coin: D(x) is "
        f"{last['d_real']:.2f}, and D(G(z)) is {last['d_fake']:.2f}. G follows a D that knows nothing of the data, and the divergence is "
        f"still {last['jsd']:.2f} nats. G can learn only from a D that learns."
    )


_WEAK = PlayOptions(rate_d=1e-5)


def _is_outside(lines: Lines) -> bool:
    return lines[-1].numbers["distance"] > 4 * lines[0].numbers["distance"]


def _outside(lines: Lines) -> str:
    first, last = lines[0].numbers, lines[-1].numbers
    return (
        f"x minimises x·y and y maximises it, each by its own gradient. The equilibrium is (0, 0). In {lines[-1].step} steps they went "
        f"around it {last['turns']:.1f} times, and their distance from it grew from {first['distance']:.2f} to {last['distance']:.2f}. "
        "Each step is tangent to a circle around the equilibrium, so it leads outwards. A smaller rate only makes this slower."
    )


def _is_reached(lines: Lines) -> bool:
    first, last = lines[0].numbers, lines[-1].numbers
    return first["jsd"] > 0.68 and last["jsd"] < 0.2 and last["modes"] == last["all_modes"]


def _reached(lines: Lines) -> str:
    first, last = lines[0].numbers, lines[-1].numbers
    least, most = min(line.numbers["gradient_g"] for line in lines[1:]), max(line.numbers["value"] for line in lines)
    return (
        f"At first the drawn points and the data had nothing in common: the divergence was {first['jsd']:.2f} nats of at most "
        f"{math.log(2):.2f}, which says nothing about how far they were apart. The critic's value says it: it fell from {most:.2f} to "
        f"{last['value']:.2f}. The norm of G's gradient was never below {least:.1g}. After {lines[-1].step} steps both clusters are drawn, "
        f"and the divergence is {last['jsd']:.2f} nats."
    )


LESSONS: dict[str, Lesson] = {
    "vanishing": Lesson(
        "Vanishing gradient",
        "Minimax loss, and a D that makes ten updates for each one of G. Look at the norm of G's gradient.",
        _VANISHING,
        _is_vanished,
        _vanishing,
        1000,
    ),
    "vanishing-cure": Lesson(
        "Its cure: non-saturating",
        "The same D with the non-saturating loss. Look at the norm of G's gradient again.",
        replace(_VANISHING, loss="non-saturating"),
        _is_revived,
        _revived,
        1000,
    ),
    "collapse": Lesson(
        "Mode collapse",
        "G makes five updates for each one of D. Count the modes that have drawn points.",
        _COLLAPSE,
        _is_collapsed,
        _collapsed,
    ),
    "collapse-cure": Lesson(
        "Its cure: packing",
        "The same rates, and D sees four points together. Count the modes again.",
        replace(_COLLAPSE, pack=4),
        _is_packed,
        _packed,
    ),
    "oscillation": Lesson(
        "Oscillation",
        "G's learning rate is too high. Follow the drawn points.",
        _OSCILLATION,
        lambda lines: _turns(lines) >= _LEAST_TURNS,
        _oscillated,
    ),
    "weak": Lesson(
        "A D that is too weak",
        "D hardly learns. Look at the surface of D, and where it leads G.",
        _WEAK,
        _is_misled,
        _misled,
        1000,
    ),
    "product": Lesson(
        "x·y: no way to the equilibrium",
        "No networks: two numbers play V(x, y) = x·y. Look at their path.",
        PlayOptions(data="product", rate_d=0.1, rate_g=0.1),
        _is_outside,
        _outside,
        pace=60,
    ),
    "wasserstein": Lesson(
        "Wasserstein on disjoint supports",
        "The data is far from all drawn points. The critic still says which way to go.",
        PlayOptions(data="clusters", loss="wasserstein", d_steps=5),
        _is_reached,
        _reached,
    ),
}
"""By the name that the page sends."""
