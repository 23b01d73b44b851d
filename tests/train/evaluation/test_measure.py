"""All measures of generators whose quality is known: of a copier, of one constant image, of stacks."""

import math
from dataclasses import replace
from typing import get_args

import msgspec
import numpy as np
import pytest

from drawwell.files.quality import Name, Quality
from drawwell.generator import Images
from drawwell_train.data.classes import LabelArray
from drawwell_train.data.images import ImageData
from drawwell_train.evaluation.measure import Evaluation, evaluate
from drawwell_train.evaluation.reference import Reference, halves
from drawwell_train.evaluation.source import Source
from tests.train.evaluation import makers

SEEN = 60 * 128
BRIEFLY = 2 * 128


def said(_: str) -> None:
    """What is told while it measures is for a terminal."""


@pytest.fixture(scope="module")
def small(digits: ImageData) -> ImageData:
    """Digits of half the size, which a classifier learns in seconds."""
    return ImageData(digits.images[:, ::2, ::2], digits.labels, digits.class_names)


@pytest.fixture(scope="module")
def reference(small: ImageData) -> Reference:
    learned, unseen = halves(small)
    names = ("digits", "others")
    return Reference(
        learned,
        unseen,
        learned.images,
        unseen.images,
        names,
        makers.projection(),
        1000,
        classifier_images=SEEN,
        classifiers=2,
    )


@pytest.fixture(scope="module")
def of_copies(reference: Reference) -> Evaluation:
    """Of real images that were learned from, and their labels."""
    return evaluate(makers.copier(reference.compared), reference, 0, said)


def of_constant(reference: Reference) -> Evaluation:
    source = makers.constant(reference.learned.shape[1:], reference.compared.class_names)
    return evaluate(source, replace(reference, classifier_images=BRIEFLY), 0, said)


def test_real_images_are_as_good_as_real_images(of_copies: Evaluation) -> None:
    """Within what chance does: shares of 1,000 images are, one with another, within 4 standard errors of each other."""
    found = of_copies.quality.measures
    assert set(found) == set(get_args(Name)) - {"modes", "modes_kl"}
    spread = found["kid"].spread
    assert spread is not None
    assert found["kid"].value == pytest.approx(0, abs=2 * spread)
    for name in ("precision", "recall", "density", "coverage"):
        assert found[name].value == pytest.approx(found[name].real, abs=0.09), name
    assert 0 < found["frechet_distance"].real < 1
    assert found["class_kl"].value < 0.02
    assert 0 < found["class_kl"].real < 0.05
    assert found["gan_train_accuracy"].real > 0.85
    assert found["gan_train_accuracy"].value == pytest.approx(found["gan_train_accuracy"].real, abs=0.06)
    assert found["gan_train_accuracy"].images == 2500
    assert found["gan_train_fresh"].images == SEEN
    assert found["gan_train_fresh"].value == pytest.approx(found["gan_train_fresh"].real, abs=0.06)
    assert found["gan_test_accuracy"].value == pytest.approx(found["gan_test_accuracy"].real, abs=0.04)
    assert found["gan_test_accuracy"].real == found["gan_train_fresh"].real == found["gan_train_accuracy"].real
    assert found["class_recall"].value == pytest.approx(found["class_recall"].real, abs=0.09)
    assert of_copies.quality.remarks == ()


def test_and_yet_they_are_told_to_be_copies(of_copies: Evaluation) -> None:
    copying = of_copies.quality.measures["copying"]
    assert copying.value > 0.97
    assert copying.real == 0.5


def test_every_measure_survives_one_constant_image_and_says_so(reference: Reference) -> None:
    found = of_constant(reference)
    quality, measures = found.quality, found.quality.measures
    assert quality.remarks == ("the generator draws the same image at every address",)
    assert set(measures) == set(get_args(Name)) - {"modes", "modes_kl"}
    assert all(math.isfinite(measure.value) and math.isfinite(measure.real) for measure in measures.values())
    assert measures["recall"].value == 0
    assert measures["coverage"].value < 0.05
    assert measures["kid"].value > 0.1
    assert measures["frechet_distance"].value > 10 * measures["frechet_distance"].real
    assert measures["class_kl"].value == pytest.approx(math.log(10), rel=0.1)  # all of one class of ten
    assert measures["class_recall"].value == 0
    assert measures["gan_train_fresh"].value < 0.2
    assert measures["gan_train_accuracy"].value < 0.2  # of images that are one a classifier learns nothing


def test_what_was_measured_can_be_read_again_and_told(reference: Reference, of_copies: Evaluation) -> None:
    for quality in (of_constant(reference).quality, of_copies.quality):
        assert msgspec.json.decode(msgspec.json.encode(quality), type=Quality) == quality
        assert "nan" not in " ".join(quality.in_words().values())


def test_a_generator_that_mostly_repeats_itself_is_remarked_upon(reference: Reference) -> None:
    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:  # noqa: ARG001
        images: Images = reference.learned[np.array(indices) % 30]
        return images

    found = evaluate(makers.source(draw, reference.learned.shape[1:]), reference, 0, said, classifier=False)
    assert found.quality.remarks[0] == "only 30 of 1,000 generated images are different"


def test_the_addresses_are_the_first_of_the_seed(reference: Reference) -> None:
    asked: list[tuple[int, range]] = []

    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
        assert labels is None
        asked.append((seed, indices))
        return reference.learned[: len(indices)]

    found = evaluate(makers.source(draw, reference.learned.shape[1:]), reference, 9, said, classifier=False)
    assert asked == [(9, range(1000))]
    assert found.quality.seed == 9


def test_a_classifier_is_taught_by_other_addresses_than_those_compared(reference: Reference) -> None:
    asked: list[range] = []
    copier = makers.copier(reference.compared)

    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
        asked.append(indices)
        return copier.draw(seed, indices, labels)

    briefly = replace(reference, classifier_images=BRIEFLY)
    evaluate(replace(copier, draw=draw), briefly, 0, said)
    fresh = [range(first, first + 128) for first in (3500, 3628)]
    assert asked == [range(1000), range(1000, 3500), *fresh]


def unlabelled(source: Source) -> Source:
    """The same images from a generator that takes no label."""
    draw = source.draw

    def drawn(seed: int, indices: range, labels: LabelArray | None) -> Images:
        assert labels is None
        return draw(seed, indices, np.array(indices) % len(source.class_names))

    return replace(source, class_names=(), draw=drawn)


def test_a_generator_without_classes_still_has_a_balance(reference: Reference) -> None:
    found = evaluate(unlabelled(makers.copier(reference.compared)), reference, 0, said).quality
    assert found.measures["class_kl"].value < 0.02
    assert found.remarks == (
        "use in training, GAN-test and variety within classes are not measured: they need a generator with classes",
    )


def test_what_is_not_measured_is_remarked_upon(reference: Reference) -> None:
    bare = replace(reference, floor=replace(reference.floor, labels=None), unseen=None)
    source = unlabelled(makers.copier(reference.compared))
    assert evaluate(source, bare, 0, said).quality.remarks == (
        "class balance is not measured: it needs labels of all real images",
        "copying is not measured: it needs real images that the generator was not trained on (--test)",
    )
    few = replace(bare, count=100, extractor=replace(bare.extractor, dimensions=100))
    features = few.extractor
    few = replace(few, extractor=replace(features, network=lambda pixels: pixels.flatten(1)[:, :100]))
    quality = evaluate(source, few, 0, said, classifier=False).quality
    assert "frechet_distance" not in quality.measures
    assert quality.remarks[:2] == (
        "the Frechet distance is not measured: it needs more images than there are features (--count 101)",
        "class balance and use in training are not measured: --no-classifier",
    )


def test_a_floor_sorted_by_class_is_of_all_classes(reference: Reference) -> None:
    """As a folder of pictures is, whose first images are all of one class."""
    assert reference.floor.labels is not None
    order = np.argsort(reference.floor.labels, kind="stable")
    floor = replace(reference.floor, images=reference.floor.images[order], labels=reference.floor.labels[order])
    ordered = replace(reference, floor=floor, count=200)
    assert np.bincount(reference.classifier().classes_of(ordered.some_floor.images), minlength=10).min() > 5
