"""How good a generator's images are: measures with their protocol, and what each of them says."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
MOST_SPREAD = 10
Spread = Annotated[float, msgspec.Meta(gt=0, le=MOST_SPREAD)]
"""What latents are multiplied by: below 1 is truncation (Brock, Donahue and Simonyan 2019, section 3.1)."""
Figure = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]

Name = Literal[
    "kid",
    "frechet_distance",
    "precision",
    "recall",
    "density",
    "coverage",
    "class_recall",
    "class_kl",
    "gan_train_fresh",
    "gan_train_accuracy",
    "gan_test_accuracy",
    "copying",
    "modes",
    "modes_kl",
]


_MOST_CLASSES = 12
"""Told by name: the most and the least frequent."""
_MOST_SPREADS = 12


@dataclass(frozen=True)
class Measure:
    """One figure of ``images`` drawn images, and the same figure of real images in their place (``real``): the floor."""

    value: Figure
    real: Figure
    images: Positive
    spread: Figure | None = None
    """The standard deviation of ``value`` over subsets or classifiers, where the measure is a mean over them."""
    real_spread: Figure | None = None
    """The same of ``real``: of classifiers, how far the ruler itself swings."""


@dataclass(frozen=True)
class Quality:
    """The measures of a generator, and what they were taken with.

    ``reference`` are the real images that drawn ones are compared with, ``floor`` those that stand for drawn ones in
    ``Measure.real``, both as text with their number. ``seed`` is that of the addresses. ``remarks`` are what a reader must
    know besides: what was not measured, and why, or that all images are one.
    """

    extractor: str
    reference: str
    floor: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    measures: Annotated[dict[Name, Measure], msgspec.Meta(min_length=1)]
    class_shares: dict[str, Annotated[float, msgspec.Meta(ge=0, le=1)]] = field(default_factory=dict)
    """The histogram of classes: the share of each in the drawn images, as a classifier tells them."""
    remarks: tuple[str, ...] = ()
    by_class: dict[Name, dict[str, Measure]] = field(default_factory=dict)
    """Of measures that are taken class by class: each class's own."""
    by_latent_spread: dict[Spread, Measure] = field(default_factory=dict)
    """``gan_train_fresh`` of images whose latents were multiplied by a spread."""

    @property
    def images(self) -> int:
        """The most images that a measure was taken of."""
        return max(measure.images for measure in self.measures.values())

    def in_words(self) -> dict[str, str]:
        """For people: how it was measured, and then what the measures say, those of one matter together."""
        facts = self._protocol()
        for name, words in _WORDS.items():
            if name in self.measures:
                said = words.of(self.measures[name]) + self._worst_class(name, words)
                facts[words.matter] = f"{facts[words.matter]}; {said}" if words.matter in facts else said
        if self.by_latent_spread:
            facts["Use by latent spread"] = self._spreads()
        if self.class_shares:
            facts["Classes drawn"] = self._histogram()
        return facts | ({"Remarks": "; ".join(self.remarks)} if self.remarks else {})

    def _worst_class(self, name: Name, words: "_Words") -> str:
        """The class in which the measure is lowest; every class is in ``by_class``."""
        if not (classes := self.by_class.get(name)):
            return ""
        worst = min(classes, key=lambda one: classes[one].value)
        value, real = words.figures(classes[worst])
        return f", worst of all classes {worst}: {value} ({real})"

    def _spreads(self) -> str:
        words = _WORDS["gan_train_fresh"]
        shown = [
            (f"{spread:g}", *words.figures(self.by_latent_spread[spread])) for spread in sorted(self.by_latent_spread)
        ]
        told = ", ".join(f"{value} at {spread}" for spread, value, _ in shown[:_MOST_SPREADS])
        return f"fresh images teach, with latents multiplied by a spread: {told} (real images {shown[0][2]})"

    def _histogram(self) -> str:
        shares = sorted(self.class_shares.items(), key=lambda one: -one[1])
        if len(shares) > _MOST_CLASSES:
            shares = [*shares[: _MOST_CLASSES // 2], *shares[-_MOST_CLASSES // 2 :]]
        return ", ".join(f"{name} {share:.1%}" for name, share in shares)

    def _protocol(self) -> dict[str, str]:
        counts = sorted(measure.images for measure in self.measures.values())
        drawn = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
        return {
            "Quality": f"of {drawn} drawn images of seed {self.seed}, beside {self.reference}",
            "In brackets": f"what real images reach in their place: {self.floor}",
            "Told by": self.extractor,
        }


@dataclass(frozen=True)
class _Words:
    """``matter``: the row that tells it. ``text`` shows ``value``, ``real`` and ``images``, the former two ``times`` as large."""

    matter: str
    text: str
    digits: str = ".1%"
    times: int = 1
    deviation: bool = False
    """Whether the standard deviation stands beside each: of accuracies that of classifiers of several seeds."""

    def of(self, measure: Measure) -> str:
        value, real = self.figures(measure)
        return self.text.format(value=value, real=real, images=f"{measure.images:,}")

    def figures(self, measure: Measure) -> tuple[str, str]:
        """``value`` and ``real`` as text."""
        return self._figure(measure.value, measure.spread), self._figure(measure.real, measure.real_spread)

    def _figure(self, number: float, spread: float | None) -> str:
        text = f"{self.times * number:z{self.digits}}"
        return text if spread is None or not self.deviation else f"{text} ± {self.times * spread:{self.digits}}"


_WORDS: dict[Name, _Words] = {
    # in thousandths, as the papers tell it: it is a few of them
    "kid": _Words(
        "Distance",
        "1,000 x KID {value} ({real}), 0 is like real images as a whole, and chance may take it below",
        ".2f",
        1000,
    ),
    "frechet_distance": _Words("Distance", "Frechet distance {value} ({real})", ".2f"),
    "precision": _Words("Realism", "{value} of drawn images lie among real ones ({real}; precision)"),
    "density": _Words("Realism", "density {value} ({real}), how closely real ones lie around them", ".2f"),
    "recall": _Words("Variety", "of {value} of real images it draws the like ({real}; recall)"),
    "coverage": _Words(
        "Variety", "{value} of real images have a drawn one as near as their own neighbours ({real}; coverage)"
    ),
    "class_recall": _Words(
        "Variety", "within its class, of {value} of real images it draws the like ({real}; recall, mean of classes)"
    ),
    "class_kl": _Words(
        "Balance", "{value} ({real}), 0 is each class as often as in the data (KL divergence, nats)", ".4f"
    ),
    "gan_train_fresh": _Words(
        "Use in training",
        "a classifier that learned from {images} drawn images, none of them twice, names {value} of unseen real ones right, "
        "one that learned from real images {real} (GAN-train)",
        deviation=True,
    ),
    "gan_train_accuracy": _Words(
        "Use in training",
        "a classifier that learned from {images} drawn images alone names {value} of unseen real ones right, "
        "one that learned from real images {real}",
        deviation=True,
    ),
    "gan_test_accuracy": _Words(
        "Classes drawn right",
        "a classifier that learned from real images names the class of {value} of drawn images right, "
        "of unseen real ones {real} (GAN-test)",
        deviation=True,
    ),
    "copying": _Words(
        "Copying",
        "in {value} of cases a drawn image is nearer to one learned from than an unseen real image is; "
        "{real} is chance, far more is copying or blur, far less is to be unlike any real image",
    ),
    "modes": _Words("Modes", "{value} of 1,000 kinds of image are drawn ({real})", ",.0f"),
    "modes_kl": _Words("Modes", "their shares differ from the data's by {value} nats of KL ({real})", ".4f"),
}


def to_builtins(quality: Quality) -> dict[str, Any]:
    """What JSON holds of measures."""
    return without_absent(msgspec.to_builtins(quality, str_keys=True))


def without_absent(quality: dict[str, Any]) -> dict[str, Any]:
    """The same without what is absent of ``by_class``, ``by_latent_spread`` and ``real_spread``, which the first measures had not."""
    kept = {name: value for name, value in quality.items() if value or name not in ("by_class", "by_latent_spread")}
    of_names: dict[str, Any] = {
        name: _of_names(kept[name]) for name in ("measures", "by_latent_spread") if name in kept
    }
    if "by_class" in kept:
        of_names["by_class"] = {name: _of_names(classes) for name, classes in kept["by_class"].items()}
    return kept | of_names


def _of_names(measures: dict[Any, dict[str, Any]]) -> dict[Any, Any]:
    return {
        name: {what: figure for what, figure in measure.items() if figure is not None or what != "real_spread"}
        for name, measure in measures.items()
    }
