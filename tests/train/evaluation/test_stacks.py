"""Stacks of digits: how many kinds a generator draws, as a classifier reads them."""

import math

import numpy as np
import pytest

from drawwell.generator import Images
from drawwell_train.data.classes import LabelArray
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.classes import class_shares, kl
from drawwell_train.evaluation.stacks import Stacks, count_kinds, stack_shares, stacks
from tests.train.evaluation import makers

SEEN = 60 * 128
BRIEFLY = 2 * 128


@pytest.fixture(scope="module")
def small(digits: ImageData) -> ImageData:
    """Digits of half the size, which a classifier learns in seconds."""
    return ImageData(digits.images[:, ::2, ::2], digits.labels, digits.class_names)


def test_the_label_of_a_stack_is_the_number_that_its_digits_make(digits: ImageData) -> None:
    assert digits.labels is not None
    label_of = {image.tobytes(): label for image, label in zip(digits.images, digits.labels, strict=True)}
    found = stacks(digits, 300, 5)
    assert found.images.shape == (300, 28, 28, 3)
    assert found.labels is not None
    for image, number in zip(found.images, found.labels, strict=True):
        read = [label_of[image[..., place : place + 1].tobytes()] for place in range(3)]
        assert found.class_names[number] == "".join(map(str, read))


def test_uniform_stacks_have_all_modes_and_the_floor_of_their_number() -> None:
    """26,000 over 1,000 modes: chi-square says (1,000 - 1) / (2 x 26,000) = 0.0192 nats, give or take 0.0009 (3 of its deviations)."""
    tiny = ImageData(np.zeros((10, 1, 1, 1), np.uint8), np.arange(10), tuple("0123456789"))
    for seed in range(3):
        labels = stacks(tiny, 26_000, seed).labels
        assert labels is not None
        shares = class_shares(labels, 1000)
        assert (shares > 0).sum() == 1000
        assert kl(shares, stack_shares(tiny)) == pytest.approx(999 / 52_000, abs=3 * np.sqrt(2 * 999) / 52_000)


def test_the_shares_of_stacks_are_products() -> None:
    digits = ImageData(np.zeros((4, 1, 1, 1), np.uint8), np.array([0, 0, 0, 7]), tuple("0123456789"))
    shares = stack_shares(digits)
    assert shares[[0, 7, 70, 700, 777]] == pytest.approx(np.array([27, 9, 9, 9, 1]) / 64)
    assert shares[[0, 7, 70, 700, 77, 707, 770, 777]].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("shape", "classes", "labelled"), [((20, 4, 4, 3), 10, True), ((20, 4, 4, 1), 9, True), ((20, 4, 4, 1), 0, False)]
)
def test_stacks_of_what_are_no_digits_are_refused(shape: tuple[int, ...], classes: int, labelled: bool) -> None:
    labels = np.zeros(shape[0], np.int64) if labelled else None
    images = ImageData(np.zeros(shape, np.uint8), labels, tuple(map(str, range(classes))))
    with pytest.raises(DataError, match="--stacked needs digits as its data: grey images of ten classes"):
        stacks(images, 10, 0)


def read_by(digits: ImageData, count: int, seen: int) -> Stacks:
    return Stacks(digits, digits, ("digits", "digits"), count, seen)


def test_stacks_are_counted_by_what_the_classifier_reads(small: ImageData) -> None:
    """Of digits below 5 there are 125 kinds; those that are misread, one digit in ten or so, are a few more."""
    real = read_by(small, 2000, SEEN)
    assert small.labels is not None
    low = ImageData(small.images[small.labels < 5], small.labels[small.labels < 5], small.class_names)

    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:  # noqa: ARG001
        return stacks(low, len(indices), seed + 7).images

    measures = count_kinds(makers.source(draw, (14, 14, 3)), real, 0).measures
    assert measures["modes"].real > 800
    assert 100 <= measures["modes"].value < 350
    assert measures["modes_kl"].value > math.log(8) - 0.5 > measures["modes_kl"].real + 0.5


def test_one_constant_stack_is_one_mode(small: ImageData) -> None:
    found = count_kinds(makers.constant((14, 14, 3)), read_by(small, 200, BRIEFLY), 0)
    assert found.measures["modes"].value == 1
    assert found.measures["modes_kl"].value > math.log(100)
