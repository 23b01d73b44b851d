"""GAN-train and GAN-test (Shmelkov, Schmid and Alahari 2018, "How good is my GAN?", section 3).

GAN-train is the accuracy on real images of classifiers trained on generated ones. GAN-test is the accuracy on generated images
of classifiers trained on real ones. Both are means over several classifiers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drawwell.files.quality import Measure
from drawwell.generator import Images
from drawwell_train.data.classes import LabelArray
from drawwell_train.evaluation.classes import labels_like
from drawwell_train.evaluation.classifier import BATCH_IMAGES, Classifier
from drawwell_train.evaluation.part import Part
from drawwell_train.evaluation.reference import Reference
from drawwell_train.evaluation.source import Draw, Source
from drawwell_train.run.checkpoint import Say

Batch = tuple[Images, LabelArray]

_PROGRESS_LINES = 4
"""Lines of progress while classifiers train on fresh images."""


@dataclass(frozen=True)
class Answers:
    """The answers of several classifiers to ``N`` images: ``correct`` is bool ``[classifiers, N]``, ``labels`` int64 ``[N]``."""

    correct: npt.NDArray[np.bool_]
    labels: LabelArray

    def of_class(self, label: int) -> "Answers":
        """Return the answers to the images of one class."""
        rows = self.labels == label
        return Answers(self.correct[:, rows], self.labels[rows])

    def accuracy(self) -> tuple[float, float | None]:
        """Return mean and standard deviation over the classifiers; a single classifier has no deviation."""
        each = self.correct.mean(1)
        return float(each.mean()), float(each.std(ddof=1)) if len(each) > 1 else None


@dataclass(frozen=True)
class RealClassifiers:
    """Classifiers trained on the reference images, one for each seed; ``floor`` are their answers to unseen real images."""

    classifiers: Sequence[Classifier]
    floor: Answers


def real_classifiers(reference: Reference, say: Say) -> RealClassifiers:
    """Train the classifiers of real images; ``say`` gets a sentence for each."""
    classifiers = _one_per_seed(reference, "real images", reference.classifier, say)
    return RealClassifiers(classifiers, _floor_answers(reference, classifiers))


def gan_test(reference: Reference, real: RealClassifiers, generated: Images, labels: LabelArray) -> Part:
    """Return ``gan_test_accuracy`` of images uint8 ``[N, H, W, C]`` that were drawn with ``labels`` int64 ``[N]``."""
    ours = _answers(real.classifiers, generated, labels)
    return Part(
        {"gan_test_accuracy": _measure(ours, real.floor, len(labels))},
        {"gan_test_accuracy": _by_class(reference, ours, real.floor)},
    )


def gan_train_fresh(draw: Draw, reference: Reference, real: RealClassifiers, seed: int, say: Say) -> Part:
    """Return ``gan_train_fresh``: the classifiers see each generated image once."""
    classifiers = of_fresh_images(draw, reference, seed, say)
    ours, count = _floor_answers(reference, classifiers), classifiers[0].steps * BATCH_IMAGES
    return Part(
        {"gan_train_fresh": _measure(ours, real.floor, count)},
        {"gan_train_fresh": _by_class(reference, ours, real.floor)},
    )


def gan_train_fixed(draw: Draw, reference: Reference, real: RealClassifiers, seed: int, say: Say) -> Part:
    """Return ``gan_train_accuracy``: the classifiers train on as many generated images as there are real ones."""
    ours = _floor_answers(reference, of_fixed_images(draw, reference, seed, say))
    return Part({"gan_train_accuracy": _measure(ours, real.floor, len(reference.compared.images))})


def gan_train_by_spread(
    source: Source, reference: Reference, real: RealClassifiers, seed: int, say: Say, spreads: Sequence[float]
) -> Part:
    """Return ``gan_train_fresh`` at the same addresses with latents multiplied by each of ``spreads``."""
    assert source.at_spread is not None, "the caller checks that latents can be multiplied"
    found = {}
    for spread in sorted(set(spreads)):
        say(f"latents multiplied by {spread:g}")
        part = gan_train_fresh(source.at_spread(spread), reference, real, seed, say)
        found[spread] = part.measures["gan_train_fresh"]
    return Part(by_latent_spread=found)


def of_fixed_images(draw: Draw, reference: Reference, seed: int, say: Say) -> list[Classifier]:
    """Train a classifier for each seed on as many generated images as there are real ones; it sees each image several times."""
    labels = labels_like(reference.compared, len(reference.compared.images))
    images = draw(seed, range(reference.count, reference.count + len(labels)), labels)

    def trained(number: int) -> Classifier:
        classifier = reference.new_classifier(number)
        classifier.learn(images, labels)
        return classifier

    return _one_per_seed(reference, f"{len(labels):,} generated images", trained, say)


def of_fresh_images(draw: Draw, reference: Reference, seed: int, say: Say) -> list[Classifier]:
    """Train a classifier for each seed on images that it sees once: each step draws a new batch, for all classifiers together."""
    classifiers = [reference.new_classifier(number) for number in range(reference.classifiers)]
    steps = classifiers[0].steps
    say(f"training {len(classifiers)} classifiers on {steps * BATCH_IMAGES:,} generated images, each seen once")
    for step, (images, labels) in enumerate(_fresh(draw, reference, seed, steps), 1):
        for classifier in classifiers:
            classifier.step(images, labels)
        if step % -(-steps // _PROGRESS_LINES) == 0:
            say(f"{step * BATCH_IMAGES:,} images seen")
    return classifiers


def _fresh(draw: Draw, reference: Reference, seed: int, steps: int) -> Iterator[Batch]:
    """Batches of new addresses, with labels in the shares of the data: no other measure uses these addresses."""
    first = reference.count + len(reference.compared.images)
    for labels in np.split(labels_like(reference.compared, steps * BATCH_IMAGES), steps):
        yield draw(seed, range(first, first + BATCH_IMAGES), labels), labels
        first += BATCH_IMAGES


def _one_per_seed(reference: Reference, data: str, train: Callable[[int], Classifier], say: Say) -> list[Classifier]:
    classifiers = []
    for number in range(reference.classifiers):
        say(f"training classifier {number + 1} of {reference.classifiers} on {data}")
        classifiers.append(train(number))
    return classifiers


def _answers(classifiers: Sequence[Classifier], images: Images, labels: LabelArray) -> Answers:
    return Answers(np.stack([one.classes_of(images) == labels for one in classifiers]), labels)


def _floor_answers(reference: Reference, classifiers: Sequence[Classifier]) -> Answers:
    """Answers to unseen real images."""
    assert reference.floor.labels is not None, "the caller checks for labels"
    return _answers(classifiers, reference.floor.images, reference.floor.labels)


def _measure(ours: Answers, floor: Answers, images: int) -> Measure:
    (value, spread), (real, real_spread) = ours.accuracy(), floor.accuracy()
    return Measure(value, real, images, spread, real_spread)


def _by_class(reference: Reference, ours: Answers, floor: Answers) -> dict[str, Measure]:
    """The accuracy in each class of which both have images; ``images`` counts the answers of one classifier."""
    found = {}
    for label, name in enumerate(reference.compared.class_names):
        mine, theirs = ours.of_class(label), floor.of_class(label)
        if len(mine.labels) and len(theirs.labels):
            found[name] = _measure(mine, theirs, len(mine.labels))
    return found
