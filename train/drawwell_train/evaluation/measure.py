"""All measures of one generator against one reference."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drawwell.pictures import Images
from drawwell.quality import Measure, Name, Quality
from drawwell_train.evaluation.frechet import frechet_distance
from drawwell_train.evaluation.kid import kid
from drawwell_train.evaluation.manifold import overlap
from drawwell_train.evaluation.neighbours import copying, nearest, picture
from drawwell_train.evaluation.reference import Reference, labels_like
from drawwell_train.evaluation.source import Labels, Source
from drawwell_train.images import ImageData

_LOOKED_UP = 2000
"""Drawn and unseen images whose nearest learned one is looked for: their share of pairs is then within some two hundredths."""

Say = Callable[[str], None]
Measured = dict[Name, Measure]

_NO_CLASSIFIER = "the balance of classes and use in training are not measured: --no-classifier"
_NO_LABELS = "the balance of classes is not measured: it takes labels of all real images"


@dataclass(frozen=True)
class Evaluation:
    """The measures, and drawn images with the nearest learned ones below them as a picture."""

    quality: Quality
    nearest: Images


def evaluate(source: Source, reference: Reference, seed: int, say: Say, classifier: bool = True) -> Evaluation:
    """Draw ``reference.count`` images at the first addresses of ``seed``, and measure them; ``say`` gets a sentence for each part.

    A generator with classes draws them in the shares of the data. Without ``classifier`` nothing of classes is measured.
    """
    labels = labels_like(reference.compared, reference.count) if source.class_names else None
    drawn = source.draw(seed, range(reference.count), labels)
    remarks = _sameness(drawn)
    say(*remarks or (f"{reference.count:,} images drawn; their features and those of as many real ones follow",))
    measured: Measured = {}
    if reference.digits is None:  # of stacks only the kinds are counted
        measured, more = _of_features(reference, drawn)
        remarks += more
    if classifier:
        say("distances are measured; the classifiers learn now, which takes minutes")
        measured |= (classes := _of_classes(source, reference, drawn, seed))[0]
        remarks += classes[1]
    else:
        remarks += (_NO_CLASSIFIER,)
    drawn = drawn[:_LOOKED_UP]
    found = nearest(drawn, reference.learned)
    if reference.unseen is not None:
        unseen = nearest(reference.unseen[:_LOOKED_UP], reference.learned)
        measured["copying"] = Measure(copying(found, unseen), 0.5, len(drawn))
    else:
        remarks += ("copying is not measured: it takes real images that were not learned from (--test)",)
    quality = Quality(reference.extractor.name, *reference.names, seed, measured, remarks)
    return Evaluation(quality, picture(drawn, reference.learned, found))


def _of_features(reference: Reference, drawn: Images) -> tuple[Measured, tuple[str, ...]]:
    real, floor, features = reference.features, reference.floor_features, reference.extractor(drawn)
    count = len(features)
    (distance, spread), (between_real, _) = kid(real, features), kid(real, floor)
    measured: Measured = {"kid": Measure(distance, between_real, count, spread)}
    remarks: tuple[str, ...] = ()
    if count > reference.extractor.dimensions:
        measured["frechet_distance"] = Measure(frechet_distance(real, features), frechet_distance(real, floor), count)
    else:
        needed = reference.extractor.dimensions + 1
        remarks = (
            f"the Frechet distance is not measured: it takes {needed:,} images, more than there are features, not {count:,}",
        )
    ours, theirs = overlap(real, features), overlap(real, floor)
    for name in ("precision", "recall", "density", "coverage"):
        measured[name] = Measure(getattr(ours, name), getattr(theirs, name), count)
    return measured, remarks


def _of_classes(source: Source, reference: Reference, drawn: Images, seed: int) -> tuple[Measured, tuple[str, ...]]:
    compared, floor = reference.compared, reference.floor
    if compared.labels is None or floor.labels is None:
        return {}, (_NO_LABELS,)
    count, classes = len(drawn), len(compared.class_names)
    shares = class_shares(compared.labels, classes) if reference.digits is None else stack_shares(reference.digits)
    ours = class_shares(reference.classes_of(drawn), classes)
    theirs = class_shares(reference.classes_of(reference.floor_images), classes)
    divergences = Measure(kl(ours, shares), kl(theirs, shares), count)
    if reference.digits is not None:
        modes = Measure(float((ours > 0).sum()), float((theirs > 0).sum()), count)
        return {"modes": modes, "modes_kl": divergences}, ()
    measured: Measured = {"class_kl": divergences}
    if not source.class_names:
        return measured, ("use in training is not measured: it takes a generator with classes",)
    labels = labels_like(compared, len(compared.images))
    images = source.draw(seed, range(count, count + len(labels)), labels)
    accuracy = reference.taught_by(images, labels, classes).accuracy(floor.images, floor.labels)
    real = reference.classifier.accuracy(floor.images, floor.labels)
    measured["gan_train_accuracy"] = Measure(accuracy, real, len(labels))
    return measured, ()


def class_shares(labels: Labels, classes: int) -> npt.NDArray[np.float64]:
    """The class histogram as shares, float64 ``[classes]``."""
    return np.bincount(labels, minlength=classes) / len(labels)


def stack_shares(digits: ImageData) -> npt.NDArray[np.float64]:
    """Of stacks drawn from these digits, float64 ``[1000]``: known, where a histogram of as many stacks would double the floor."""
    assert digits.labels is not None, "stacks are made of labels"
    shares = class_shares(digits.labels, len(digits.class_names))
    return np.kron(shares, np.kron(shares, shares))


def kl(drawn: npt.NDArray[np.float64], data: npt.NDArray[np.float64]) -> float:
    """``KL(drawn || data)`` of two histograms in nats, infinite never: a class that the data lacks counts as one in a million."""
    there = drawn > 0
    return float((drawn[there] * np.log(drawn[there] / data[there].clip(1e-6))).sum())


def _sameness(drawn: Images) -> tuple[str, ...]:
    distinct = len({image.tobytes() for image in drawn})
    if distinct == 1:
        return ("the generator draws one and the same image, whatever the address",)
    return (f"of {len(drawn):,} images drawn only {distinct:,} differ",) if distinct < 0.99 * len(drawn) else ()
