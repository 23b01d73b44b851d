"""All measures of one generator against one reference."""

from collections.abc import Callable
from dataclasses import dataclass

from drawwell.pictures import Images
from drawwell.quality import Measure, Name, Quality
from drawwell_train.evaluation.classes import class_shares, kl, labels_like
from drawwell_train.evaluation.frechet import frechet_distance
from drawwell_train.evaluation.kid import kid
from drawwell_train.evaluation.manifold import overlap
from drawwell_train.evaluation.neighbours import copying, nearest, picture
from drawwell_train.evaluation.reference import Reference
from drawwell_train.evaluation.source import Source

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
    remarks = (*reference.remarks, *_sameness(drawn))
    say(*remarks[:1] or (f"{reference.count:,} images drawn; their features and those of as many real ones follow",))
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
    quality = Quality(f"features of {reference.extractor.name}", *reference.names, seed, measured, remarks)
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
            f"the Frechet distance is not measured: it takes more images than there are features (--count {needed})",
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
    shares = class_shares(compared.labels, classes)
    ours, theirs = (
        class_shares(reference.classifier.classes_of(images), classes) for images in (drawn, reference.floor_images)
    )
    measured: Measured = {"class_kl": Measure(kl(ours, shares), kl(theirs, shares), count)}
    if not source.class_names:
        return measured, ("use in training is not measured: it takes a generator with classes",)
    labels = labels_like(compared, len(compared.images))
    images = source.draw(seed, range(count, count + len(labels)), labels)
    accuracy = reference.taught_by(images, labels, classes).accuracy(floor.images, floor.labels)
    real = reference.classifier.accuracy(floor.images, floor.labels)
    measured["gan_train_accuracy"] = Measure(accuracy, real, len(labels))
    return measured, ()


def _sameness(drawn: Images) -> tuple[str, ...]:
    distinct = len({image.tobytes() for image in drawn})
    if distinct == 1:
        return ("the generator draws one and the same image, whatever the address",)
    return (f"of {len(drawn):,} images drawn only {distinct:,} differ",) if distinct < 0.99 * len(drawn) else ()
