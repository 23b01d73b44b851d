"""The card of a discriminator file: what its logits mean."""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from drawwell.files.card import Positive, Sha256, Side, Training
from drawwell.files.card_json import card_from

FORMAT = 1
QUANTILES = 101
"""From the least logit to the greatest, in steps of one percent."""
KNOWN_PICTURES = 4

DiscriminatorLoss = Literal["non-saturating", "minimax", "wasserstein", "hinge", "relativistic"]
Logits = npt.NDArray[np.float32]

_NO_PROBABILITY: dict[DiscriminatorLoss, str] = {
    "wasserstein": "the critic of a Wasserstein GAN gives a score, not a probability",
    "hinge": "the hinge loss asks for logits beyond 1 and -1, not for probabilities",
    "relativistic": "the relativistic loss compares two pictures, so the logit of one is no probability",
}
_SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True)
class LogitParity:
    """The largest difference between the file's logits and torch's, over ``pictures`` pictures at each of ``batch_sizes``."""

    pictures: Positive
    batch_sizes: tuple[Positive, ...]
    max_difference: float

    def in_words(self) -> str:
        """The difference as one sentence for people."""
        return (
            f"logits differ from torch's by at most {self.max_difference:.1e} (measured on {self.pictures:,} pictures)"
        )


@dataclass(frozen=True)
class LogitQuantiles:
    """The quantiles of the logits of ``pictures`` pictures, ascending."""

    pictures: Positive
    values: Annotated[tuple[float, ...], msgspec.Meta(min_length=QUANTILES, max_length=QUANTILES)]

    @classmethod
    def of(cls, logits: Logits) -> "LogitQuantiles":
        """Measure the logits ``[N]``."""
        values = np.quantile(logits.astype(np.float64), np.linspace(0, 1, QUANTILES))
        return cls(len(logits), tuple(float(f"{value:.{_SIGNIFICANT_DIGITS}g}") for value in values))

    def percentile(self, logit: float) -> float:
        """The percentage of these pictures with a lower logit, in [0, 100]. Of equal ones, half count as lower."""
        values, levels = np.array(self.values), np.linspace(0, 100, QUANTILES)
        below = np.interp(logit, values, levels)
        above = np.interp(-logit, -values[::-1], levels)
        return float(below + 100 - above) / 2


@dataclass(frozen=True)
class LogitScale:
    """Where logits lie: those of real pictures that the discriminator never learned from, and those of drawn pictures."""

    real: LogitQuantiles
    drawn: LogitQuantiles
    roc_auc: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """The share of all pairs of a real and a drawn picture in which the real one has the higher logit: 0.5 is chance."""

    @classmethod
    def of(cls, real: Logits, drawn: Logits) -> "LogitScale":
        """Measure the logits ``[N]`` of real and ``[M]`` of drawn pictures."""
        ordered = np.sort(drawn)
        lower = np.searchsorted(ordered, real, "left") + np.searchsorted(ordered, real, "right")
        return cls(LogitQuantiles.of(real), LogitQuantiles.of(drawn), float(lower.mean() / (2 * len(drawn))))

    def in_words(self) -> str:
        """How well the discriminator tells real pictures from drawn ones, as one sentence for people."""
        return (
            f"in {self.roc_auc:.0%} of the pairs of a held-out real picture and a drawn one, the real one has the higher logit "
            "(50% is chance)"
        )


@dataclass(frozen=True)
class KnownLogits:
    """What every machine must compute of ``known_pictures`` under ``known_labels``: for each the logit, and the score of each class."""

    logits: Annotated[tuple[tuple[float, ...], ...], msgspec.Meta(min_length=KNOWN_PICTURES, max_length=KNOWN_PICTURES)]
    tolerance: float
    """The largest difference, as a share of the largest logit, or the largest score of a class, where that is above 1."""

    def distance(self, logits: Logits) -> float:
        """The largest difference of ``logits`` ``[N, 1 + K]`` in the unit of ``tolerance``; infinite for another shape."""
        known = np.array(self.logits, np.float64)
        if known.shape != logits.shape or not np.isfinite(logits).all():
            return float("inf")
        return float((np.abs(logits - known) / np.maximum(1, np.abs(known).max(0))).max())


@dataclass(frozen=True)
class DiscriminatorCard:
    """The card in a discriminator file. Pictures are uint8 ``[height, width, channels]``."""

    name: str
    height: Side
    width: Side
    channels: Literal[1, 3]
    generator: Sha256
    """The digest of the generator whose images were measured."""
    training: Training
    loss: DiscriminatorLoss
    real_target: Annotated[float, msgspec.Meta(gt=0, le=1)] | None
    """What the sigmoid of a real picture's logit was trained towards: 1, or less with label smoothing. None for a loss whose logits
    are no probabilities."""
    parity: LogitParity
    known_logits: KnownLogits
    scale: LogitScale
    """Of the logits; with classes, of each picture under its own class."""
    class_names: tuple[str, ...] = ()
    """Empty for a discriminator without classes."""
    named_class_scale: LogitScale | None = None
    """With classes: of each picture under the class that the discriminator's features name."""
    class_accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """With classes: the share of the held-out real pictures whose class its features name."""
    remarks: tuple[str, ...] = ()
    kind: Literal["discriminator"] = "discriminator"
    format_version: int = FORMAT

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(height, width, channels)``."""
        return self.height, self.width, self.channels

    def probability(self, logit: float) -> float | None:
        """D's probability that a picture is real, among as many real as drawn ones; None if a logit of this loss is none.

        The optimum of the cross-entropies is ``D = p / (p + q)`` (Goodfellow et al. 2014, equation 2). With one-sided label smoothing
        of real pictures to t it is ``t p / (p + q)`` (Salimans et al. 2016, section 3.4), so that D is divided by t.
        """
        if self.real_target is None:
            return None
        with np.errstate(over="ignore"):
            return float(min(1.0, 1 / (1 + np.exp(-np.float64(logit))) / self.real_target))

    def in_words(self) -> dict[str, str]:
        """The rows of a table for people, by their headings."""
        scale = self.named_class_scale or self.scale
        return {
            "Pictures": f"{self.height} x {self.width} pixels, {'grey' if self.channels == 1 else 'colour'}",
            "Classes": ", ".join(self.class_names) or "none",
            "Trained on": f"{self.training.dataset}, {self.training.images:,} images in {self.training.steps:,} steps",
            "Data licence": self.training.license,
            "Loss": f"{self.loss}; {self.why_no_probability() or 'the sigmoid of a logit is a probability'}",
            "Parity": self.parity.in_words(),
            "Tells apart": scale.in_words(),
            **({} if self.class_accuracy is None else {"Names classes": self.accuracy_in_words()}),
            **({"Remarks": "; ".join(self.remarks)} if self.remarks else {}),
            "Generator": self.generator,
        }

    def why_no_probability(self) -> str:
        """Why the sigmoid of a logit is no probability, as a clause; empty if it is one."""
        return "" if self.real_target is not None else _NO_PROBABILITY[self.loss]

    def accuracy_in_words(self) -> str:
        """How the class is found, and how often it is right, as a sentence. Only for a discriminator with classes."""
        return (
            "the class is the one that a linear classifier names by the discriminator's features; it is right for "
            f"{self.class_accuracy:.0%} of {self.scale.real.pictures:,} held-out real pictures"
        )


def known_pictures(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """The pictures of ``KnownLogits``, uint8 ``[KNOWN_PICTURES, H, W, C]``: bytes of Philox, which numpy keeps as they are."""
    size = KNOWN_PICTURES * int(np.prod(shape))
    words = np.random.Philox(key=0).random_raw(-(-size // 8)).astype("<u8")
    return words.view(np.uint8)[:size].reshape(KNOWN_PICTURES, *shape)


def known_labels(classes: int) -> npt.NDArray[np.int64] | None:
    """The labels of ``known_pictures``, int64 ``[KNOWN_PICTURES]``; None without classes."""
    return np.arange(KNOWN_PICTURES) % classes if classes else None


def card_from_json(text: str | bytes) -> DiscriminatorCard:
    """Return the card in ``text``. Raises ``GeneratorFileError`` for anything else, and for another format version."""
    return card_from(text, "discriminator", (FORMAT,), DiscriminatorCard)
