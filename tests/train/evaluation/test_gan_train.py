"""Several classifiers: their mean and deviation, what each class has, fresh images and other spreads of latents."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drawwell.addresses.latents import AddressWords
from drawwell.generator import Images
from drawwell_train.data.classes import LabelArray
from drawwell_train.data.images import ImageData
from drawwell_train.evaluation.classifier import Classifier
from drawwell_train.evaluation.gan_train import (
    Answers,
    RealClassifiers,
    gan_test,
    gan_train_by_spread,
    gan_train_fresh,
    of_fresh_images,
    real_classifiers,
)
from drawwell_train.evaluation.reference import Reference, halves
from drawwell_train.evaluation.source import Draw, open_source
from tests.train.evaluation import makers

SEEN = 40 * 128


def said(_: str) -> None:
    """What is told while it measures is for a terminal."""


@pytest.fixture(scope="module")
def reference(digits: ImageData) -> Reference:
    """Digits of half the size, 2,500 to learn from and 2,500 others; two classifiers of each kind."""
    small = ImageData(digits.images[:, ::2, ::2], digits.labels, digits.class_names)
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


def stub(wrong: int) -> Classifier:
    """A classifier of images that are their class: it takes the first ``wrong`` of them for class 1."""

    class Stub(Classifier):
        def __init__(self) -> None:
            """Nothing to learn."""

        def classes_of(self, images: Images) -> LabelArray:
            found = images[:, 0, 0, 0].astype(np.int64)
            found[:wrong] = 1
            return found

    return Stub()


def real(floor: ImageData, *classifiers: Classifier) -> RealClassifiers:
    """These in the place of classifiers of real images."""
    assert floor.labels is not None
    right = [one.classes_of(floor.images) == floor.labels for one in classifiers]
    return RealClassifiers(classifiers, Answers(np.stack(right), floor.labels))


def test_mean_deviation_and_classes_by_hand(reference: Reference) -> None:
    """Of ten images, five of class 0, one classifier takes two for class 1 and the other four; of twenty others two and four."""
    images = np.arange(2).repeat(5).astype(np.uint8).reshape(10, 1, 1, 1)
    floor = ImageData(images.repeat(2, axis=0), np.arange(2).repeat(10), ("zero", "one"))
    tiny = replace(reference, compared=floor, floor=floor)
    found = gan_test(tiny, real(floor, stub(2), stub(4)), images, np.arange(2).repeat(5))
    measure = found.measures["gan_test_accuracy"]
    figures = [measure.value, measure.spread, measure.real, measure.real_spread]
    assert figures == pytest.approx([0.7, 0.2 / 2**0.5, 0.85, 0.1 / 2**0.5])
    assert measure.images == 10
    classes = found.by_class["gan_test_accuracy"]
    assert [classes[name].value for name in ("zero", "one")] == pytest.approx([0.4, 1])
    assert [classes[name].real for name in ("zero", "one")] == pytest.approx([0.7, 1])
    alone = gan_test(tiny, real(floor, stub(2)), images, np.arange(2).repeat(5)).measures["gan_test_accuracy"]
    assert (alone.value, alone.spread, alone.real_spread) == (0.8, None, None)


def test_a_class_that_is_drawn_as_another_is_the_worst(reference: Reference) -> None:
    """What is asked for as a 3 is drawn as an 8: a classifier of them knows no 3, one of real images sees no 3."""
    copier = makers.copier(reference.compared)

    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
        assert labels is not None
        return copier.draw(seed, indices, np.where(labels == 3, 8, labels))

    source, of_real = replace(copier, draw=draw), real_classifiers(reference, said)
    labels = np.arange(1000) % 10
    tested = gan_test(reference, of_real, source.draw(0, range(1000), labels), labels)
    taught = gan_train_fresh(source.draw, reference, of_real, 0, said)
    for part, name in ((tested, "gan_test_accuracy"), (taught, "gan_train_fresh")):
        classes = part.by_class[name]  # type: ignore[index]
        assert len(classes) == 10
        assert min(classes, key=lambda one: classes[one].value) == "3"
        assert classes["3"].value < 0.6 * classes["3"].real
    assert taught.measures["gan_train_fresh"].images == SEEN


def test_classifiers_of_real_images_are_made_once_for_each_seed(reference: Reference) -> None:
    one, other = real_classifiers(reference, said).classifiers
    assert one is reference.classifier(0)
    assert other is reference.classifier(1)
    assert replace(reference, classifier_images=128).classifier(0) is not one
    images = reference.floor.images
    assert one.classes_of(images).tolist() != other.classes_of(images).tolist()


def test_no_fresh_image_is_drawn_twice_and_all_classifiers_see_the_same(reference: Reference) -> None:
    """Learning together, each becomes what it would alone."""
    copier, asked = makers.copier(reference.compared), list[range]()

    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
        asked.append(indices)
        return copier.draw(seed, indices, labels)

    briefly = replace(reference, classifier_images=10 * 128)
    both = of_fresh_images(draw, briefly, 5, said)
    addresses = [index for indices in asked for index in indices]
    assert addresses == list(range(3500, 3500 + 1280)), "after those that are compared, and those of the fixed set"
    (alone,) = of_fresh_images(draw, replace(briefly, classifiers=1), 5, said)
    images = reference.floor.images
    assert both[0].classes_of(images).tolist() == alone.classes_of(images).tolist()
    assert both[1].classes_of(images).tolist() != alone.classes_of(images).tolist()


def test_spreads_draw_the_fresh_addresses_with_other_latents(reference: Reference) -> None:
    asked: list[tuple[float, int]] = []
    copier = makers.copier(reference.compared)

    def at_spread(spread: float) -> Draw:
        def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
            asked.append((spread, indices.start))
            return copier.draw(seed, indices, labels)

        return draw

    briefly = replace(reference, classifier_images=2 * 128)
    of_real = real_classifiers(briefly, said)
    source = replace(copier, at_spread=at_spread)
    found = gan_train_by_spread(source, briefly, of_real, 0, said, (1.4, 0.7, 1.4)).by_latent_spread
    assert list(found) == [0.7, 1.4]
    assert asked == [(0.7, 3500), (0.7, 3628), (1.4, 3500), (1.4, 3628)]
    fresh = gan_train_fresh(source.draw, briefly, of_real, 0, said).measures["gan_train_fresh"]
    assert found[0.7] == fresh, "the same images, the same figure"


@pytest.mark.parametrize("kind", ["run", "file"])
def test_a_spread_multiplies_the_latents(
    kind: str, tiny_run: Path, tiny_generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(str({"run": tiny_run, "file": tiny_generator}[kind]))
    assert source.at_spread is not None
    whole = source.draw(3, range(20), None)
    assert source.at_spread(1.0)(3, range(20), None).tolist() == whole.tolist()
    at_two = source.at_spread(2.0)(3, range(20), None)
    assert not np.array_equal(at_two, whole)
    once = AddressWords.latents
    monkeypatch.setattr(AddressWords, "latents", lambda words: 2 * once(words))
    assert source.draw(3, range(20), None).tolist() == at_two.tolist()
