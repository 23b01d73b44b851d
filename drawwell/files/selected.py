"""How ``drawwell select`` made a selection: what stands in ``Selection.how``, and its words for people."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from drawwell.files.selection import Selection

Rule = Literal["agree", "confident", "diverse"]

_MAX_CLASSES_SHOWN = 20


@dataclass(frozen=True)
class GateRecord:
    """The classifier of real images that chose. Its SHA-256 is of its weights, the data's of its training images and labels."""

    weights_sha256: str
    data_sha256: str
    images: int
    """Training images."""
    accuracy: float
    """On the validation images."""
    validation_images: int
    all_sha256: str = ""
    """Of training and validation images together, as they were read. Empty in selections of earlier versions."""


@dataclass(frozen=True)
class GainRecord:
    """GAN-train on the validation images: accuracies of classifiers trained on selected and on unselected images."""

    selected: float
    unselected: float
    """Mean accuracies over the classifiers, from 0 to 1."""
    deviation: float | None
    """The standard deviation of the difference over the classifiers; None for one classifier."""
    classifiers: int
    """Of each kind."""
    images: int
    """Training images of each classifier."""
    images_seen: int
    """The same with repeats."""

    @property
    def points(self) -> float:
        """The gain in points of 100; negative for a loss."""
        return 100 * (self.selected - self.unselected)

    def in_words(self) -> str:
        """The gain as one sentence for people."""
        moved = f"{'lost' if self.points < 0 else 'gained'} {abs(self.points):.1f} points"
        chance = f" (deviation {100 * self.deviation:.1f})" if self.deviation is not None else ""
        return (
            f"{moved}{chance}: classifiers trained on {self.images:,} images with it name {self.selected:.1%} of the validation "
            f"images correctly, and {self.unselected:.1%} when trained on as many unselected images"
        )


@dataclass(frozen=True)
class SelectedRecord:
    """What ``drawwell select`` writes into ``Selection.how``."""

    rule: Rule
    margin: float
    """An image passes if the log-probability of its class is more than this above every other class, in nats."""
    keep_share: float
    """The share of the passing images that was kept."""
    start: int
    """The index of the first candidate."""
    candidates: int
    """Addresses that were looked at, from ``start`` on."""
    images: Mapping[str, int]
    """Selected images of each class."""
    scored: Mapping[str, int]
    """Candidates of each class that the gate scored."""
    passed: Mapping[str, int]
    """Candidates of each class that passed."""
    gate: GateRecord
    gain: GainRecord
    versions: Mapping[str, str]

    @property
    def acceptance(self) -> float:
        """The share of the scored images that passed."""
        return sum(self.passed.values()) / sum(self.scored.values())

    @property
    def worst_class(self) -> str:
        """The class with the lowest acceptance."""
        return min(self.passed, key=lambda name: self.passed[name] / self.scored[name])

    def to_how(self) -> dict[str, Any]:
        """Return the record as plain values of JSON."""
        how: dict[str, Any] = msgspec.to_builtins(self)
        return how

    def in_words(self) -> dict[str, str]:
        """The rows of a table for people, by their headings."""
        worst = self.worst_class
        share = f", {self.keep_share:.0%} of the passing images kept" if self.keep_share < 1 else ""
        gap = f", margin above {self.margin:g} nats" if self.margin else ""
        return {
            "Classes": _listed(self.images),
            "Rule": f"{self.rule}{gap}{share}",
            "Acceptance": (
                f"{self.acceptance:.1%} of {sum(self.scored.values()):,} images passed; the lowest share is "
                f"{self.passed[worst] / self.scored[worst]:.1%}, of class {worst!r}"
            ),
            "Gate": (
                f"a classifier trained on {self.gate.images:,} real images (data {self.gate.data_sha256[:12]}, weights "
                f"{self.gate.weights_sha256[:12]}); it names {self.gate.accuracy:.1%} of {self.gate.validation_images:,} others correctly"
            ),
            "GAN-train": self.gain.in_words(),
            "Made with": ", ".join(f"{name} {version}" for name, version in self.versions.items()),
        }


def in_words(selection: Selection) -> dict[str, str]:
    """Return a selection as the rows of a table for people, by their headings."""
    indices = selection.indices
    rows = {
        "Selection": selection.sha256,
        "Generator": selection.generator,
        "Images": f"{len(indices):,}, of seed {selection.seed}, indices from {indices[0]} to {indices[-1]}",
        **({} if selection.spread == 1 else {"Spread": f"latents multiplied by {selection.spread:g}"}),
    }
    return rows | _made(selection)


def _made(selection: Selection) -> dict[str, str]:
    try:
        record = msgspec.convert(selection.how, SelectedRecord)
        return record.in_words()
    except (msgspec.ValidationError, ValueError, KeyError, ZeroDivisionError):
        return {"Made": "not by drawwell select: it records no rule and no gain"}


def _listed(images: Mapping[str, int]) -> str:
    if len(images) > _MAX_CLASSES_SHOWN:
        most, least = max(images.values()), min(images.values())
        return f"{len(images):,}, with {least:,} to {most:,} images each"
    names = Counter(images.values())
    if len(names) == 1:
        return f"{next(iter(names)):,} images each of {', '.join(images)}"
    return ", ".join(f"{name} {count:,}" for name, count in images.items())
