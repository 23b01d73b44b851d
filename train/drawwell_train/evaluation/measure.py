"""All measures of one generator against one reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from drawwell.files.quality import Measure, Name, Quality
from drawwell.generator import Images
from drawwell_train.data.classes import LabelArray
from drawwell_train.evaluation.classes import class_shares, kl, labels_like
from drawwell_train.evaluation.frechet import Features, frechet_distance
from drawwell_train.evaluation.gan_train import (
    gan_test,
    gan_train_by_spread,
    gan_train_fixed,
    gan_train_fresh,
    real_classifiers,
)
from drawwell_train.evaluation.kid import kid
from drawwell_train.evaluation.manifold import overlap
from drawwell_train.evaluation.neighbours import Nearest, copying, nearest, picture
from drawwell_train.evaluation.part import Part
from drawwell_train.evaluation.reference import Reference
from drawwell_train.evaluation.source import Source
from drawwell_train.evaluation.variety import class_recall
from drawwell_train.run.checkpoint import Say

_COPYING_IMAGES = 2000
"""Generated and unseen images whose nearest training image is looked up: copying is then exact to about 2 points of 100."""

_NO_FRECHET = "the Frechet distance is not measured: it needs more images than there are features (--count {})"
_NO_CLASSIFIER = "class balance and use in training are not measured: --no-classifier"
_NO_LABELS = "class balance is not measured: it needs labels of all real images"
_NO_CLASSES = (
    "use in training, GAN-test and variety within classes are not measured: they need a generator with classes"
)
_NO_TEST = "use in training is not measured: it needs real images that the generator was not trained on (--test)"
_NO_COPYING = "copying is not measured: it needs real images that the generator was not trained on (--test)"


@dataclass(frozen=True)
class Evaluation:
    """The measures, and a sheet of generated images with their nearest training images, uint8 ``[H, W, C]``."""

    quality: Quality
    nearest: Images


@dataclass(frozen=True)
class Drawn:
    """The images that are measured, uint8 ``[N, H, W, C]``, at the first addresses of ``seed``, and their labels if they have some."""

    source: Source
    seed: int
    images: Images
    labels: LabelArray | None


def evaluate(
    source: Source,
    reference: Reference,
    seed: int,
    say: Say,
    classifier: bool = True,
    spreads: Sequence[float] = (),
) -> Evaluation:
    """Draw ``reference.count`` images at the first addresses of ``seed`` and measure them.

    A generator with classes draws them in the class shares of the data. ``say`` gets a sentence for each part of the work. Without
    ``classifier``, the measures that need a classifier are left out. ``spreads`` are factors for latents, with which GAN-train is
    measured as well.
    """
    drawn = draw(source, reference, seed)
    remarks = (*reference.remarks, *_sameness(drawn.images))
    say(
        remarks[0] if remarks else f"drew {reference.count:,} images; computing their features and those of real images"
    )
    found = nearest(drawn.images[:_COPYING_IMAGES], reference.learned)
    parts, histogram = [Part(remarks=remarks), *of_features(reference, drawn)], {}
    if classifier and reference.labelled:
        say(
            "distances are measured; training classifiers takes minutes (--no-classifier leaves their measures out, "
            "--classifier-seeds 1 trains a third of them)"
        )
        say("training a classifier on real images, for the balance of classes")
        histogram = _histogram(reference, drawn.images)
        parts += [_of_balance(reference, histogram), *_of_use(reference, drawn, say, spreads)]
    else:
        parts.append(Part(remarks=(_NO_LABELS if classifier else _NO_CLASSIFIER,)))
    quality = _together(reference, seed, [*parts, _of_copies(reference, found)], histogram)
    return Evaluation(quality, picture(drawn.images[:_COPYING_IMAGES], reference.learned, found))


def draw(source: Source, reference: Reference, seed: int) -> Drawn:
    """Draw ``reference.count`` images; a generator with classes gets labels in the shares of the data."""
    labels = labels_like(reference.compared, reference.count) if source.class_names else None
    return Drawn(source, seed, source.draw(seed, range(reference.count), labels), labels)


def of_features(reference: Reference, drawn: Drawn) -> Iterator[Part]:
    """Yield the measures of features: distances and overlaps of all images, and recall within each class."""
    real, floor, features = reference.features, reference.floor_features, reference.extractor(drawn.images)
    yield Part(_distances(real, floor, features))
    if len(features) > reference.extractor.dimensions:
        distances = frechet_distance(real, features), frechet_distance(real, floor)
        yield Part({"frechet_distance": Measure(*distances, len(features))})
    else:
        yield Part(remarks=(_NO_FRECHET.format(reference.extractor.dimensions + 1),))
    labels, floor_labels = reference.some_compared.labels, reference.some_floor.labels
    if drawn.labels is not None and labels is not None and floor_labels is not None:
        names = reference.compared.class_names
        yield class_recall((real, labels), (features, drawn.labels), (floor, floor_labels), names)


def _distances(real: Features, floor: Features, drawn: Features) -> dict[Name, Measure]:
    (distance, spread), (between_real, _) = kid(real, drawn), kid(real, floor)
    ours, theirs = overlap(real, drawn), overlap(real, floor)
    names: tuple[Name, ...] = ("precision", "recall", "density", "coverage")
    shares = {name: Measure(getattr(ours, name), getattr(theirs, name), len(drawn)) for name in names}
    return {"kid": Measure(distance, between_real, len(drawn), spread), **shares}


def _histogram(reference: Reference, drawn: Images) -> dict[str, float]:
    names = reference.compared.class_names
    shares = class_shares(reference.classifier().classes_of(drawn), len(names))
    return dict(zip(names, shares.tolist(), strict=True))


def _of_balance(reference: Reference, histogram: dict[str, float]) -> Part:
    assert reference.compared.labels is not None, "the caller checks for labels"
    expected = class_shares(reference.compared.labels, len(histogram))
    drawn = np.array(list(histogram.values()))
    floor = class_shares(reference.classifier().classes_of(reference.some_floor.images), len(histogram))
    return Part({"class_kl": Measure(kl(drawn, expected), kl(floor, expected), reference.count)})


def _of_use(reference: Reference, drawn: Drawn, say: Say, spreads: Sequence[float]) -> Iterator[Part]:
    """GAN-test, and with unseen real images also GAN-train."""
    if drawn.labels is None:
        yield Part(remarks=(_NO_CLASSES,))
        return
    real = real_classifiers(reference, say)
    yield gan_test(reference, real, drawn.images, drawn.labels)
    if reference.floor_learned:
        yield Part(remarks=(_NO_TEST,))
        return
    yield gan_train_fixed(drawn.source.draw, reference, real, drawn.seed, say)
    yield (fresh := gan_train_fresh(drawn.source.draw, reference, real, drawn.seed, say))
    if spreads:
        yield Part(by_latent_spread={1.0: fresh.measures["gan_train_fresh"]})
        others = [spread for spread in spreads if spread != 1]
        yield gan_train_by_spread(drawn.source, reference, real, drawn.seed, say, others)


def _of_copies(reference: Reference, drawn: Nearest) -> Part:
    if reference.unseen is None:
        return Part(remarks=(_NO_COPYING,))
    unseen = nearest(reference.unseen[:_COPYING_IMAGES], reference.learned)
    return Part({"copying": Measure(copying(drawn, unseen), 0.5, len(drawn.places))})


def _sameness(drawn: Images) -> tuple[str, ...]:
    distinct = len({image.tobytes() for image in drawn})
    if distinct == 1:
        return ("the generator draws the same image at every address",)
    return (
        (f"only {distinct:,} of {len(drawn):,} generated images are different",) if distinct < 0.99 * len(drawn) else ()
    )


def _together(reference: Reference, seed: int, parts: Sequence[Part], histogram: dict[str, float]) -> Quality:
    return Quality(
        f"features of {reference.extractor.name}",
        *reference.names,
        seed,
        {name: one for part in parts for name, one in part.measures.items()},
        histogram,
        tuple(remark for part in parts for remark in part.remarks),
        {name: one for part in parts for name, one in part.by_class.items()},
        {spread: one for part in parts for spread, one in part.by_latent_spread.items()},
    )
