"""Stacked MNIST: the number of kinds of image, of 1,000, that a generator of three stacked digits draws."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from drawwell.files.quality import Measure, Quality
from drawwell.generator import Images
from drawwell_train.data.classes import LabelArray
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.classes import Shares, class_shares, kl
from drawwell_train.evaluation.classifier import Classifier
from drawwell_train.evaluation.reference import Sources, check_count, read_images
from drawwell_train.evaluation.source import Source

COUNT = 26_000
"""The number of generated images in Lin et al. 2018, section 4.1."""
_DIGITS, _PLACES = 10, 3
_SEED = 0


@dataclass(frozen=True)
class Stacks:
    """Real digits and the classifier that reads them: one object serves every generator of the same digits."""

    digits: ImageData
    """The digits that the classifier is trained on."""
    others: ImageData
    """The digits of the real stacks that take the place of generated ones."""
    names: tuple[str, str]
    """File names of ``digits`` and ``others``."""
    count: int
    """Number of generated images, and of real stacks."""
    classifier_images: int | None = None
    """Images that the classifier sees in its training, repeats included; None: the classifier's default."""

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier of single digits, trained at the first use."""
        assert self.digits.labels is not None, "read_stacks checks for labels"
        classifier = Classifier(1, _DIGITS, _SEED, self.classifier_images)
        classifier.learn(self.digits.images, self.digits.labels)
        return classifier

    @cached_property
    def floor(self) -> Shares:
        """The share of each kind in real stacks, float64 ``[1000]``."""
        return self.shares_of(stacks(self.others, self.count, _SEED).images)

    def shares_of(self, images: Images) -> Shares:
        """Return the share of each kind in stacks uint8 ``[N, H, W, 3]``, as the classifier reads them: float64 ``[1000]``."""
        numbers = _numbers(*(self.classifier.classes_of(images[..., place : place + 1]) for place in range(_PLACES)))
        return class_shares(numbers, _DIGITS**_PLACES)


def read_stacks(sources: Sources, source: Source) -> Stacks:
    """Read the digits for a generator of stacks.

    Raises ``DrawwellError`` if the generator draws no images of three colours, if there are too few digits, or if they are no
    grey images of ten classes.
    """
    height, width, channels = source.shape
    if channels != _PLACES:
        raise DataError(f"--stacked needs a generator of images with {_PLACES} colours; this one draws {channels}")
    digits = read_images(sources.data, (height, width, 1), sources)
    others = digits if sources.test is None else read_images(sources.test, (height, width, 1), sources)
    for one in (digits, others):
        _check_digits(one)
    count = sources.count or COUNT
    check_count(count)
    return Stacks(digits, others, (Path(sources.data).name, Path(sources.test or sources.data).name), count)


def count_kinds(source: Source, real: Stacks, seed: int) -> Quality:
    """Return ``modes`` and ``modes_kl`` of the first ``real.count`` images of ``seed``, as the classifier reads them."""
    ours = real.shares_of(source.draw(seed, range(real.count), None))
    theirs, expected = real.floor, stack_shares(real.digits)
    return Quality(
        f"a classifier of single digits, trained on {real.names[0]}",
        f"the shares of digits in {real.names[0]}",
        f"{real.count:,} stacks of {real.names[1]}",
        seed,
        {
            "modes": Measure(float((ours > 0).sum()), float((theirs > 0).sum()), real.count),
            "modes_kl": Measure(kl(ours, expected), kl(theirs, expected), real.count),
        },
    )


def stacks(digits: ImageData, count: int, seed: int) -> ImageData:
    """Return ``count`` images of three random digits as the three colours: Stacked MNIST (Metz et al. 2017, section 3.3.1).

    Labels are the numbers 0 to 999 that the digits form. Raises ``DataError`` unless the digits are grey and of ten classes.
    """
    labels = _check_digits(digits)
    rows = np.random.default_rng(seed).integers(len(digits.images), size=(count, _PLACES))
    images = np.concatenate([digits.images[column] for column in rows.T], axis=3)
    names = tuple(f"{number:03}" for number in range(_DIGITS**_PLACES))
    return ImageData(images, _numbers(*(labels[column] for column in rows.T)), names)


def stack_shares(digits: ImageData) -> Shares:
    """Return the expected share of each kind among stacks of ``digits``, float64 ``[1000]``.

    It is computed and not counted: the chance in a histogram of as many stacks would double the score of real images.
    """
    assert digits.labels is not None, "read_stacks checks for labels"
    shares = class_shares(digits.labels, len(digits.class_names))
    return np.kron(shares, np.kron(shares, shares))


def _check_digits(digits: ImageData) -> LabelArray:
    if digits.labels is None or len(digits.class_names) != _DIGITS or digits.images.shape[-1] != 1:
        raise DataError("--stacked needs digits as its data: grey images of ten classes")
    return digits.labels


def _numbers(hundreds: LabelArray, tens: LabelArray, ones: LabelArray) -> LabelArray:
    return (hundreds * _DIGITS + tens) * _DIGITS + ones
