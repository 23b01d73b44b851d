"""The gate: a classifier of real images, trained on one part of them and tested on the other."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from drawwell.files.card import ModelCard
from drawwell.files.selected import GateRecord
from drawwell_train.data.classes import LabelArray, numbered_as, some
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.classifier import Classifier
from drawwell_train.evaluation.extractors import LEAST_IMAGES
from drawwell_train.evaluation.reference import Sources, read_images
from drawwell_train.run.checkpoint import Say
from drawwell_train.selecting.budgets import Budgets

VALIDATION_SHARE = 1 / 6
"""As many validation images for one of Fashion-MNIST's training set as its test set has: 10,000."""
LEAST_ACCURACY = 0.6
"""A gate below it would throw away more than a third of the images that are right."""
_SEED = 0


@dataclass(frozen=True)
class RealImages:
    """Two parts of the real images, without an image in common by row: one trains the gate, one measures."""

    training: ImageData
    validation: ImageData
    sha256: str
    """Of both together, with their labels, in the order in which they were read."""


@dataclass(frozen=True)
class Gate:
    """A trained gate, and its record for the selection file."""

    classifier: Classifier
    record: GateRecord


def read_real(sources: Sources, card: ModelCard, budgets: Budgets) -> RealImages:
    """Read and split the real images, always in the same way.

    Raises ``DataError`` if they have no classes or other classes than the generator, none of a class that is asked for, or are too few.
    """
    found = read_images(sources.data, card.image_shape, sources)
    images = numbered_as(found, card.class_names)
    if images is None:
        raise DataError(f"{sources.data}: {_why_not(found, card)}")
    _check_classes(sources.data, images, budgets)
    order = np.random.default_rng(_SEED).permutation(len(images.images))
    middle = int(len(order) * VALIDATION_SHARE)
    if middle < LEAST_IMAGES:
        needed = int(np.ceil(LEAST_IMAGES / VALIDATION_SHARE))
        raise DataError(
            f"{sources.data}: {len(order):,} images are too few to select by: at least {needed} are needed, of which a sixth validates"
        )
    return RealImages(_take(images, order[middle:]), _take(images, order[:middle]), images.sha256(with_labels=True))


def learn_gate(real: RealImages, images_seen: int, say: Say) -> Gate:
    """Train the gate. Raises ``DataError`` if it cannot learn the real images."""
    labels = _labels(real.training)
    say(f"training the gate on {len(labels):,} real images")
    channels, classes = real.training.images.shape[-1], len(real.training.class_names)
    classifier = Classifier(channels, classes, _SEED, images_seen)
    classifier.learn(real.training.images, labels)
    accuracy = classifier.accuracy(real.validation.images, _labels(real.validation))
    count = len(real.validation.images)
    say(f"the gate names {accuracy:.1%} of {count:,} other real images correctly")
    if accuracy < LEAST_ACCURACY:
        raise DataError(
            f"the gate names only {accuracy:.1%} of {count:,} real images correctly, and {LEAST_ACCURACY:.0%} are needed to select by it: "
            "check the labels of --data, or give more real images"
        )
    data = real.training.sha256(with_labels=True)
    return Gate(classifier, GateRecord(classifier.weights_sha256(), data, len(labels), accuracy, count, real.sha256))


def _why_not(found: ImageData, card: ModelCard) -> str:
    if found.labels is None:
        reason = f" ({found.why_no_classes})" if found.why_no_classes else ""
        return f"has no classes{reason}, and the gate learns classes: give images with labels"
    theirs, ours = some(list(map(repr, found.class_names))), some(list(map(repr, card.class_names)))
    return f"has the classes {theirs}, and the generator {ours}: give images of the generator's classes"


def _check_classes(name: str, images: ImageData, budgets: Budgets) -> None:
    there = np.bincount(_labels(images), minlength=len(budgets))
    if absent := [repr(images.class_names[label]) for label in np.flatnonzero((budgets > 0) & (there == 0))]:
        raise DataError(f"{name}: has no images of class {some(absent)}, which are asked for")


def _labels(images: ImageData) -> LabelArray:
    assert images.labels is not None, "read_real checks for labels"
    return images.labels


def _take(images: ImageData, rows: npt.NDArray[np.int64]) -> ImageData:
    return replace(images, images=images.images[rows], labels=_labels(images)[rows])
