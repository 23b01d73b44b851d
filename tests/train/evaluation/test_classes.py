"""The balance of classes, and the classifier that tells it."""

import numpy as np
import pytest
from scipy.stats import entropy

from drawwell_train.data.images import ImageData
from drawwell_train.evaluation.classes import class_shares, kl, labels_like
from drawwell_train.evaluation.classifier import Classifier
from drawwell_train.evaluation.reference import halves

SEEN = 80 * 128


@pytest.fixture(scope="module")
def small(digits: ImageData) -> ImageData:
    """Digits of half the size, which a classifier learns in seconds."""
    return ImageData(digits.images[:, ::2, ::2], digits.labels, digits.class_names)


@pytest.fixture(scope="module")
def taught(small: ImageData) -> tuple[Classifier, ImageData]:
    """What has learned one half of the digits, and the other."""
    learned, unseen = halves(small)
    assert learned.labels is not None
    classifier = Classifier(1, 10, 0, SEEN)
    classifier.learn(learned.images, learned.labels)
    return classifier, unseen


def test_shares_and_their_divergence_by_hand() -> None:
    drawn, data = class_shares(np.array([0, 0, 0, 2]), 4), class_shares(np.array([0, 1, 2, 3]), 4)
    assert drawn.tolist() == [0.75, 0, 0.25, 0]
    assert kl(drawn, data) == pytest.approx(0.75 * np.log(3))
    assert kl(drawn, drawn) == 0


def test_the_divergence_is_that_of_scipy() -> None:
    drawn, data = np.random.default_rng(0).dirichlet(np.ones(1000), 2)
    assert kl(drawn, data) == pytest.approx(entropy(drawn, data), rel=1e-12)


def test_a_class_that_the_data_lacks_is_far_and_not_infinite() -> None:
    assert kl(np.array([0.5, 0.5]), np.array([1.0, 0])) == pytest.approx(0.5 * np.log(0.5) + 0.5 * np.log(0.5e6))


def test_labels_are_drawn_in_the_shares_of_the_data() -> None:
    images = ImageData(np.zeros((4, 1, 1, 1), np.uint8), np.array([0, 2, 2, 2]), ("a", "b", "c"))
    assert np.bincount(labels_like(images, 400)).tolist() == [100, 0, 300]
    assert len(labels_like(images, 3)) == 3


def test_halves_are_all_of_the_data_once(digits: ImageData) -> None:
    one, other = halves(digits)
    assert len(one.images) == len(other.images) == 2500
    assert one.labels is not None
    assert other.labels is not None
    both = np.concatenate([one.images, other.images])
    assert sorted(image.tobytes() for image in both) == sorted(image.tobytes() for image in digits.images)
    assert (np.bincount(one.labels) + np.bincount(other.labels)).tolist() == [500] * 10


def test_a_classifier_learns_digits(taught: tuple[Classifier, ImageData]) -> None:
    classifier, unseen = taught
    assert unseen.labels is not None
    assert classifier.accuracy(unseen.images, unseen.labels) > 0.9
    assert classifier.accuracy(unseen.images, (unseen.labels + 1) % 10) < 0.05


def test_a_class_does_not_hang_on_the_other_images(taught: tuple[Classifier, ImageData]) -> None:
    classifier, unseen = taught
    alone = np.concatenate([classifier.classes_of(unseen.images[place : place + 1]) for place in range(20)])
    assert alone.tolist() == classifier.classes_of(unseen.images[:20]).tolist()


def test_one_seed_makes_one_classifier_whatever_else_was_drawn(small: ImageData) -> None:
    assert small.labels is not None
    found = []
    for seed in (3, 3, 4):
        classifier = Classifier(1, 10, seed, 5 * 128)
        classifier.learn(small.images, small.labels)
        found.append(classifier.classes_of(small.images).tolist())
    assert found[0] == found[1] != found[2]


def test_equal_images_of_one_class_are_survived() -> None:
    images, labels = np.full((10, 8, 8, 3), 7, np.uint8), np.zeros(10, np.int64)
    classifier = Classifier(3, 2, 0, 5 * 128)
    classifier.learn(images, labels)
    assert classifier.accuracy(images, labels) == 1
