"""How good a generator's images are: the measures in a card, the protocol they were taken with, and their words for people.

This is the one home of the names of measures: cards, tables and pages take a measure's label, digits and meaning from ``WORDS``.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
MAX_SPREAD = 10
Spread = Annotated[float, msgspec.Meta(gt=0, le=MAX_SPREAD)]
"""A factor for latents: below 1 is truncation (Brock, Donahue and Simonyan 2019, section 3.1)."""
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


_MAX_CLASSES_SHOWN = 12
"""Half of them the most frequent, half the least."""
_MAX_SPREADS_SHOWN = 12


@dataclass(frozen=True)
class Measure:
    """One score of ``images`` generated images, and the score ``real`` that real images get in the same test."""

    value: Figure
    real: Figure
    images: Positive
    spread: Figure | None = None
    """Standard deviation of ``value`` over subsets or classifiers, where the measure is a mean over them."""
    real_spread: Figure | None = None
    """Standard deviation of ``real`` over classifiers: the uncertainty of the test itself."""


@dataclass(frozen=True)
class Quality:
    """The measures of a generator, and the protocol they were taken with.

    ``reference`` names the real images that generated ones are compared with. ``floor`` names the real images that take the place
    of generated ones for ``Measure.real``. Both are text and include the number of images. ``seed`` is the seed of the addresses.
    ``remarks`` say which measures are missing and why, and warn of images that are all alike.
    """

    extractor: str
    reference: str
    floor: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    measures: Annotated[dict[Name, Measure], msgspec.Meta(min_length=1)]
    class_shares: dict[str, Annotated[float, msgspec.Meta(ge=0, le=1)]] = field(default_factory=dict)
    """Class histogram: the share of each class in the generated images, as a classifier names them."""
    remarks: tuple[str, ...] = ()
    by_class: dict[Name, dict[str, Measure]] = field(default_factory=dict)
    """Measures that are taken for each class by itself, by the name of the class."""
    by_latent_spread: dict[Spread, Measure] = field(default_factory=dict)
    """``gan_train_fresh`` of images whose latents were multiplied by a factor, by this factor."""

    @property
    def images(self) -> int:
        """The number of generated images of the largest measure."""
        return max(measure.images for measure in self.measures.values())

    def in_words(self) -> dict[str, str]:
        """The rows of a table for people, by their headings: first the protocol, then the measures, then the remarks."""
        rows = self._protocol()
        for heading, direction in ROWS.items():
            sentences = [self._sentence(name) for name in WORDS if name in self.measures and WORDS[name].row == heading]
            if sentences:
                rows[heading] = f"{'; '.join(sentences)}. {direction}"
        if self.by_latent_spread:
            rows["Use by latent spread"] = self._spreads()
        if self.class_shares:
            rows["Class shares"] = self._histogram()
        return rows | ({"Remarks": "; ".join(self.remarks)} if self.remarks else {})

    def _protocol(self) -> dict[str, str]:
        counts = sorted(measure.images for measure in self.measures.values())
        generated = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
        return {
            "Quality": f"{generated} generated images of seed {self.seed}, compared with {self.reference}",
            "Real images": f"the score of {self.floor} in the same test",
            "Measured with": self.extractor,
        }

    def _sentence(self, name: Name) -> str:
        words, measure = WORDS[name], self.measures[name]
        value, real = words.figures(measure)
        beside = f"{words.beside}: {real}{self._worst_class(name)}"
        return f"{words.label} {value} ({beside}): {words.meaning.format(images=f'{measure.images:,}')}"

    def worst_class(self, name: Name) -> tuple[str, str, str] | None:
        """Return the class with the lowest score, its score and the score of its real images, as text; None without scores of classes."""
        if not (classes := self.by_class.get(name)):
            return None
        worst = min(classes, key=lambda one: classes[one].value)
        return worst, *WORDS[name].figures(classes[worst])

    def _worst_class(self, name: Name) -> str:
        if (worst := self.worst_class(name)) is None:
            return ""
        label, value, real = worst
        return f"; worst class {label}: {value}, real images {real}"

    def _spreads(self) -> str:
        words = WORDS["gan_train_fresh"]
        spreads = sorted(self.by_latent_spread)[:_MAX_SPREADS_SHOWN]
        figures = [words.figures(self.by_latent_spread[spread]) for spread in spreads]
        shown = ", ".join(f"{value} at {spread:g}" for spread, (value, _) in zip(spreads, figures, strict=True))
        return f"{words.label} with latents multiplied by a factor: {shown} (real images: {figures[0][1]})"

    def _histogram(self) -> str:
        shares = sorted(self.class_shares.items(), key=lambda one: -one[1])
        texts = [f"{name} {share:.1%}" for name, share in shares]
        if len(texts) > _MAX_CLASSES_SHOWN:
            texts = [*texts[: _MAX_CLASSES_SHOWN // 2], "...", *texts[-_MAX_CLASSES_SHOWN // 2 :]]
        return ", ".join(texts)


@dataclass(frozen=True)
class Words:
    """How a measure is shown: the ``row`` it stands in, its ``label``, and its ``meaning``, which may quote ``{images}``.

    Its figures are multiplied by ``times`` and formatted with ``digits``. ``beside`` says which score stands in brackets.
    """

    row: str
    label: str
    meaning: str
    digits: str = ".1%"
    times: int = 1
    deviation: bool = False
    """Whether the standard deviation is shown: it is for means over classifiers."""
    beside: str = "real images"

    def figures(self, measure: Measure) -> tuple[str, str]:
        """``value`` and ``real`` of ``measure`` as text, with their deviations where they are shown."""
        return self._figure(measure.value, measure.spread), self._figure(measure.real, measure.real_spread)

    def _figure(self, number: float, spread: float | None) -> str:
        text = f"{self.times * number:z{self.digits}}"
        return text if spread is None or not self.deviation else f"{text} ± {self.times * spread:{self.digits}}"


ROWS = {
    "Distance": "Lower is better; 0 is best.",
    "Realism": "Higher is better.",
    "Variety": "Higher is better.",
    "Balance": "Lower is better; 0 is best.",
    "Use in training": "Higher is better.",
    "Recognition": "The score of real images is best; a higher score often means less variety.",
    "Copying": "50% is best; far more means copies or blur, far less means images unlike any real one.",
    "Modes": "Higher is better.",
}
"""The rows of a table in their order, each with the direction in which its measures are better."""

WORDS: dict[Name, Words] = {
    # in thousandths, as papers print it
    "kid": Words(
        "Distance", "1,000 x KID", "kernel inception distance, which chance can take slightly below 0", ".1f", 1000
    ),
    "frechet_distance": Words("Distance", "Frechet distance", "distance of Gaussians fitted to the features", ".1f"),
    "precision": Words("Realism", "precision", "share of generated images that lie among real images"),
    "density": Words("Realism", "density", "how closely real images surround a generated image", ".2f"),
    "recall": Words("Variety", "recall", "share of real images that have a generated counterpart"),
    "coverage": Words(
        "Variety", "coverage", "share of real images with a generated image nearer than their own real neighbours"
    ),
    "class_recall": Words("Variety", "recall within classes", "recall of each class by itself, mean over the classes"),
    "class_kl": Words(
        "Balance", "class KL", "KL divergence in nats between the class shares of generated and of real images", ".4f"
    ),
    "gan_train_fresh": Words(
        "Use in training",
        "GAN-train (fresh images)",
        "accuracy on unseen real images of a classifier trained on {images} generated images, each seen once",
        deviation=True,
    ),
    "gan_train_accuracy": Words(
        "Use in training",
        "GAN-train (fixed set)",
        "accuracy on unseen real images of a classifier trained on {images} generated images, each seen several times",
        deviation=True,
    ),
    "gan_test_accuracy": Words(
        "Recognition",
        "GAN-test",
        "accuracy on generated images of a classifier trained on real images",
        deviation=True,
    ),
    "copying": Words(
        "Copying",
        "copying",
        "share of pairs in which the generated image is nearer to a training image than an unseen real image is",
        beside="chance",
    ),
    "modes": Words("Modes", "modes", "kinds of image, of 1,000, that occur among {images} generated images", ",.0f"),
    "modes_kl": Words("Balance", "KL", "KL divergence in nats of the generated shares of kinds from the data's", ".3f"),
}


def to_builtins(quality: Quality) -> dict[str, Any]:
    """Return ``quality`` as it stands in JSON: dicts, lists, strings and numbers."""
    return without_absent(msgspec.to_builtins(quality, str_keys=True))


def without_absent(quality: dict[str, Any]) -> dict[str, Any]:
    """Return ``quality`` without empty ``by_class``, ``by_latent_spread`` and ``real_spread``.

    The first cards had none of these fields: a card without them keeps its bytes, and a file its digest.
    """
    kept = {name: value for name, value in quality.items() if value or name not in ("by_class", "by_latent_spread")}
    cleaned: dict[str, Any] = {
        name: _without_real_spread(kept[name]) for name in ("measures", "by_latent_spread") if name in kept
    }
    if "by_class" in kept:
        cleaned["by_class"] = {name: _without_real_spread(classes) for name, classes in kept["by_class"].items()}
    return kept | cleaned


def _without_real_spread(measures: dict[Any, dict[str, Any]]) -> dict[Any, Any]:
    return {
        name: {key: figure for key, figure in measure.items() if figure is not None or key != "real_spread"}
        for name, measure in measures.items()
    }
