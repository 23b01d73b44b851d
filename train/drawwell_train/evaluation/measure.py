"""All measures of one generator against one reference."""

from dataclasses import dataclass

from drawwell.pictures import Images
from drawwell.quality import Measure, Name, Quality
from drawwell_train.evaluation.classes import Shares, class_shares, kl, labels_like
from drawwell_train.evaluation.frechet import frechet_distance
from drawwell_train.evaluation.kid import kid
from drawwell_train.evaluation.manifold import overlap
from drawwell_train.evaluation.neighbours import Nearest, copying, nearest, picture
from drawwell_train.evaluation.reference import Reference
from drawwell_train.evaluation.source import Say, Source

_LOOKED_UP = 2000
"""Drawn and unseen images whose nearest learned one is looked for: their share of pairs is then within some two hundredths."""

Part = tuple[dict[Name, Measure], tuple[str, ...]]
"""Measures, and remarks on what could not be measured."""

_NO_CLASSIFIER = "the balance of classes and use in training are not measured: --no-classifier"
_NO_LABELS = "the balance of classes is not measured: it takes labels of all real images"
_NO_TRAINING = "use in training is not measured: it takes a generator with classes, and --test"
_NO_COPYING = "copying is not measured: it takes real images that were not learned from (--test)"


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
    told = (*reference.remarks, *_sameness(drawn))
    say(*told[:1] or (f"{reference.count:,} images drawn; their features and those of as many real ones follow",))
    parts: list[Part] = [({}, told), _of_features(reference, drawn)]
    histogram: dict[str, float] = {}
    if classifier and reference.labelled:
        say("distances are measured; the classifiers learn now, which takes minutes")
        shares = class_shares(reference.classifier.classes_of(drawn), len(reference.compared.class_names))
        histogram = dict(zip(reference.compared.class_names, shares.tolist(), strict=True))
        parts += [_of_balance(reference, shares), _of_training(source, reference, seed)]
    else:
        parts.append(({}, (_NO_LABELS if classifier else _NO_CLASSIFIER,)))
    found = nearest(drawn[:_LOOKED_UP], reference.learned)
    parts.append(_of_copies(reference, found))
    measures = {name: measure for measured, _ in parts for name, measure in measured.items()}
    remarks = tuple(remark for _, remarks in parts for remark in remarks)
    told_by = f"features of {reference.extractor.name}"
    quality = Quality(told_by, *reference.names, seed, measures, histogram, remarks)
    return Evaluation(quality, picture(drawn[:_LOOKED_UP], reference.learned, found))


def _of_features(reference: Reference, drawn: Images) -> Part:
    real, floor, features = reference.features, reference.floor_features, reference.extractor(drawn)
    count = len(features)
    (distance, spread), (between_real, _) = kid(real, features), kid(real, floor)
    measured: dict[Name, Measure] = {"kid": Measure(distance, between_real, count, spread)}
    remarks: tuple[str, ...] = ()
    if count > (dimensions := reference.extractor.dimensions):
        measured["frechet_distance"] = Measure(frechet_distance(real, features), frechet_distance(real, floor), count)
    else:
        needed = f"--count {dimensions + 1}"
        remarks = (
            f"the Frechet distance is not measured: it takes more images of each than there are features ({needed})",
        )
    ours, theirs = overlap(real, features), overlap(real, floor)
    for name in ("precision", "recall", "density", "coverage"):
        measured[name] = Measure(getattr(ours, name), getattr(theirs, name), count)
    return measured, remarks


def _of_balance(reference: Reference, drawn: Shares) -> Part:
    assert reference.compared.labels is not None, "the caller looked"
    wanted = class_shares(reference.compared.labels, len(drawn))
    floor = class_shares(reference.classifier.classes_of(reference.floor_images), len(drawn))
    return {"class_kl": Measure(kl(drawn, wanted), kl(floor, wanted), reference.count)}, ()


def _of_training(source: Source, reference: Reference, seed: int) -> Part:
    """As many drawn images as real ones, with their labels, teach a classifier; both are asked about unseen real images."""
    compared, floor = reference.compared, reference.floor
    if not source.class_names or reference.floor_learned:
        return {}, (_NO_TRAINING,)
    assert floor.labels is not None, "the caller looked"
    labels = labels_like(compared, len(compared.images))
    images = source.draw(seed, range(reference.count, reference.count + len(labels)), labels)
    drawn = reference.taught_by(images, labels, len(compared.class_names))
    ours, theirs = (one.accuracy(floor.images, floor.labels) for one in (drawn, reference.classifier))
    return {"gan_train_accuracy": Measure(ours, theirs, len(labels))}, ()


def _of_copies(reference: Reference, drawn: Nearest) -> Part:
    if reference.unseen is None:
        return {}, (_NO_COPYING,)
    unseen = nearest(reference.unseen[:_LOOKED_UP], reference.learned)
    return {"copying": Measure(copying(drawn, unseen), 0.5, len(drawn.places))}, ()


def _sameness(drawn: Images) -> tuple[str, ...]:
    distinct = len({image.tobytes() for image in drawn})
    if distinct == 1:
        return ("the generator draws one and the same image, whatever the address",)
    return (f"of {len(drawn):,} images drawn only {distinct:,} differ",) if distinct < 0.99 * len(drawn) else ()
