"""Stacked MNIST: how many of 1,000 kinds of three stacked digits a generator draws."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from drawwell.files.quality import Measure, Quality
from drawwell.generator import Images
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.classes import Labels, Shares, class_shares, kl
from drawwell_train.evaluation.classifier import Classifier
from drawwell_train.evaluation.reference import Sources, check_count, read_images
from drawwell_train.evaluation.source import Source

COUNT = 26_000
"""As in Lin et al. 2018, section 4.1."""
_DIGITS, _PLACES = 10, 3
_SEED = 0


@dataclass(frozen=True)
class Stacks:
    """What stacks are made of, and what reads them: made once, it serves every generator of the same digits."""

    digits: ImageData
    """Those that the classifier learns from."""
    others: ImageData
    """Those that real stacks are made of, for the floor."""
    names: tuple[str, str]
    count: int
    classifier_images: int | None = None
    """What the classifier sees while it learns, repeats included; by default its own number."""

    @cached_property
    def classifier(self) -> Classifier:
        """That of single digits."""
        assert self.digits.labels is not None, "they were checked"
        classifier = Classifier(1, _DIGITS, _SEED, self.classifier_images)
        classifier.learn(self.digits.images, self.digits.labels)
        return classifier

    @cached_property
    def floor(self) -> Shares:
        """How often each kind is read in real stacks."""
        return self.shares_of(stacks(self.others, self.count, _SEED).images)

    def shares_of(self, images: Images) -> Shares:
        """How often each kind is read in stacks uint8 ``[N, H, W, 3]``: float64 ``[1000]``."""
        numbers = _numbers(*(self.classifier.classes_of(images[..., place : place + 1]) for place in range(_PLACES)))
        return class_shares(numbers, _DIGITS**_PLACES)


def read_stacks(sources: Sources, source: Source) -> Stacks:
    """The digits for a generator of stacks. Raises ``DrawwellError`` where they are too few, or it draws none."""
    height, width, channels = source.shape
    if channels != _PLACES:
        raise DataError(f"stacks of digits have {_PLACES} colours, the generator's images have {channels}")
    digits = read_images(sources.data, (height, width, 1), sources)
    others = digits if sources.test is None else read_images(sources.test, (height, width, 1), sources)
    for one in (digits, others):
        _check_digits(one)
    count = sources.count or COUNT
    check_count(count)
    return Stacks(digits, others, (Path(sources.data).name, Path(sources.test or sources.data).name), count)


def count_kinds(source: Source, real: Stacks, seed: int) -> Quality:
    """``modes`` and ``modes_kl`` of the first images of ``seed``, as a classifier of single digits reads them."""
    ours = real.shares_of(source.draw(seed, range(real.count), None))
    theirs, wanted = real.floor, stack_shares(real.digits)
    return Quality(
        "a classifier of single digits, which learned from " + real.names[0],
        f"the shares of digits in {real.names[0]}",
        f"{real.count:,} stacks of {real.names[1]}",
        seed,
        {
            "modes": Measure(float((ours > 0).sum()), float((theirs > 0).sum()), real.count),
            "modes_kl": Measure(kl(ours, wanted), kl(theirs, wanted), real.count),
        },
    )


def stacks(digits: ImageData, count: int, seed: int) -> ImageData:
    """Stacked MNIST (Metz et al. 2017, section 3.3.1): three digits drawn at random, as the colours of one image.

    Labels are the numbers 0 to 999 that they make. Raises ``DataError`` unless the digits are grey and of ten classes.
    """
    labels = _check_digits(digits)
    rows = np.random.default_rng(seed).integers(len(digits.images), size=(count, _PLACES))
    images = np.concatenate([digits.images[column] for column in rows.T], axis=3)
    names = tuple(f"{number:03}" for number in range(_DIGITS**_PLACES))
    return ImageData(images, _numbers(*(labels[column] for column in rows.T)), names)


def stack_shares(digits: ImageData) -> Shares:
    """Of stacks drawn from these digits, float64 ``[1000]``: known, where a histogram of as many stacks would double the floor."""
    assert digits.labels is not None, "stacks are made of labels"
    shares = class_shares(digits.labels, len(digits.class_names))
    return np.kron(shares, np.kron(shares, shares))


def _check_digits(digits: ImageData) -> Labels:
    if digits.labels is None or len(digits.class_names) != _DIGITS or digits.images.shape[-1] != 1:
        raise DataError("stacks are made of grey images of ten classes")
    return digits.labels


def _numbers(hundreds: Labels, tens: Labels, ones: Labels) -> Labels:
    return (hundreds * _DIGITS + tens) * _DIGITS + ones
