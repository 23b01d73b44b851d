"""Measures that take several classifiers: what those of drawn images know of real ones, and those of real images of drawn ones.

GAN-train and GAN-test: Shmelkov, Schmid and Alahari 2018, "How good is my GAN?", section 3.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drawwell.files.quality import Measure
from drawwell.generator import Images
from drawwell.pieces import slices
from drawwell_train.evaluation.classes import Labels, labels_like
from drawwell_train.evaluation.classifier import BATCH_IMAGES, Classifier
from drawwell_train.evaluation.part import Part
from drawwell_train.evaluation.reference import Reference
from drawwell_train.evaluation.source import Draw, Say, Source

Batch = tuple[Images, Labels]

_TOLD = 4
"""How often progress is told while classifiers learn from fresh images."""


@dataclass(frozen=True)
class Named:
    """``right``: whether each classifier names each image right, bool ``[classifiers, N]``."""

    right: npt.NDArray[np.bool_]
    labels: Labels

    def of_class(self, label: int) -> "Named":
        rows = self.labels == label
        return Named(self.right[:, rows], self.labels[rows])

    def accuracy(self) -> tuple[float, float | None]:
        """Mean and standard deviation over the classifiers; a single one has no deviation."""
        each = self.right.mean(1)
        return float(each.mean()), float(each.std(ddof=1)) if len(each) > 1 else None


@dataclass(frozen=True)
class RealClassifiers:
    """Classifiers of all real images that are compared with, one for each seed; ``floor`` is what they name of unseen ones."""

    classifiers: Sequence[Classifier]
    floor: Named


def real_classifiers(reference: Reference, say: Say) -> RealClassifiers:
    """Made once for each reference."""
    classifiers = _one_a_seed(reference, "real images", reference.classifier, say)
    return RealClassifiers(classifiers, _of_floor(reference, classifiers))


def gan_test(reference: Reference, real: RealClassifiers, drawn: Images, labels: Labels) -> Part:
    """Classifiers of real images name drawn ones, beside unseen real ones."""
    ours = _named(real.classifiers, drawn, labels)
    return Part(
        {"gan_test_accuracy": _measure(ours, real.floor, len(labels))},
        {"gan_test_accuracy": _by_class(reference, ours, real.floor)},
    )


def gan_train_fresh(draw: Draw, reference: Reference, real: RealClassifiers, seed: int, say: Say) -> Part:
    """Classifiers of drawn images that each of them sees once name unseen real ones."""
    classifiers = of_fresh_images(draw, reference, seed, say)
    ours, count = _of_floor(reference, classifiers), classifiers[0].steps * BATCH_IMAGES
    return Part(
        {"gan_train_fresh": _measure(ours, real.floor, count)},
        {"gan_train_fresh": _by_class(reference, ours, real.floor)},
    )


def gan_train_fixed(draw: Draw, reference: Reference, real: RealClassifiers, seed: int, say: Say) -> Part:
    """Classifiers of as many drawn images as there are real ones name unseen real ones."""
    ours = _of_floor(reference, of_fixed_images(draw, reference, seed, say))
    return Part({"gan_train_accuracy": _measure(ours, real.floor, len(reference.compared.images))})


def gan_train_by_spread(
    source: Source, reference: Reference, real: RealClassifiers, seed: int, say: Say, spreads: Sequence[float]
) -> Part:
    """``gan_train_fresh`` at the same addresses, with their latents multiplied by each of ``spreads``."""
    assert source.at_spread is not None, "the caller looked"
    found = {}
    for spread in sorted(set(spreads)):
        say(f"latents are multiplied by {spread:g} now")
        part = gan_train_fresh(source.at_spread(spread), reference, real, seed, say)
        found[spread] = part.measures["gan_train_fresh"]
    return Part(by_latent_spread=found)


def of_fixed_images(draw: Draw, reference: Reference, seed: int, say: Say) -> list[Classifier]:
    """One for each seed, of as many drawn images as there are real ones, which each of them sees several times."""
    labels = labels_like(reference.compared, len(reference.compared.images))
    images = draw(seed, range(reference.count, reference.count + len(labels)), labels)

    def taught(number: int) -> Classifier:
        classifier = reference.untaught(number)
        classifier.learn(images, labels)
        return classifier

    return _one_a_seed(reference, f"{len(labels):,} drawn images", taught, say)


def of_fresh_images(draw: Draw, reference: Reference, seed: int, say: Say) -> list[Classifier]:
    """One for each seed, of images that it sees once: every step draws its batch anew, for all of them together."""
    classifiers = [reference.untaught(number) for number in range(reference.classifiers)]
    steps = classifiers[0].steps
    say(f"{len(classifiers)} classifiers learn from {steps * BATCH_IMAGES:,} drawn images, none of them twice")
    for step, (images, labels) in enumerate(_fresh(draw, reference, seed, steps), 1):
        for classifier in classifiers:
            classifier.step(images, labels)
        if step % -(-steps // _TOLD) == 0:
            say(f"{step * BATCH_IMAGES:,} are learned")
    return classifiers


def _fresh(draw: Draw, reference: Reference, seed: int, steps: int) -> Iterator[Batch]:
    """Of addresses after those that are compared and those of the fixed set, with labels in the shares of the data."""
    first = reference.count + len(reference.compared.images)
    labels = labels_like(reference.compared, steps * BATCH_IMAGES)
    for places in slices(len(labels), BATCH_IMAGES):
        yield draw(seed, range(first + places.start, first + places.stop), labels[places]), labels[places]


def _one_a_seed(reference: Reference, what: str, taught: Callable[[int], Classifier], say: Say) -> list[Classifier]:
    classifiers = []
    for number in range(reference.classifiers):
        say(f"classifier {number + 1} of {reference.classifiers} of {what}")
        classifiers.append(taught(number))
    return classifiers


def _named(classifiers: Sequence[Classifier], images: Images, labels: Labels) -> Named:
    return Named(np.stack([one.classes_of(images) == labels for one in classifiers]), labels)


def _of_floor(reference: Reference, classifiers: Sequence[Classifier]) -> Named:
    """What they make of unseen real images."""
    assert reference.floor.labels is not None, "the caller looked"
    return _named(classifiers, reference.floor.images, reference.floor.labels)


def _measure(ours: Named, floor: Named, images: int) -> Measure:
    (value, spread), (real, real_spread) = ours.accuracy(), floor.accuracy()
    return Measure(value, real, images, spread, real_spread)


def _by_class(reference: Reference, ours: Named, floor: Named) -> dict[str, Measure]:
    """The accuracy in each class that both have images of; ``images`` are those that were named."""
    found = {}
    for label, name in enumerate(reference.compared.class_names):
        mine, theirs = ours.of_class(label), floor.of_class(label)
        if len(mine.labels) and len(theirs.labels):
            found[name] = _measure(mine, theirs, len(mine.labels))
    return found
