"""Real images: the reference that generated ones are compared with, and the floor, which takes the place of generated ones."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drawwell.errors import DrawwellError
from drawwell.generator import Images
from drawwell_train.data.classes import numbered_as
from drawwell_train.data.dataset import Limits, load
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.classifier import Classifier
from drawwell_train.evaluation.extractors import LEAST_IMAGES, Extractor
from drawwell_train.evaluation.frechet import Features
from drawwell_train.evaluation.source import Source
from drawwell_train.step.batches import held_out_rows

OTHER_IMAGES = "the run was trained on other images than --data"
"""A remark of measures that do not go into the card."""
CLASSIFIERS = 3
"""Classifiers of each kind: the result of a single one depends on its seed."""
_COUNT_BY_DEFAULT = 10_000
_SEED = 0


@dataclass(frozen=True)
class Sources:
    """Where the real images lie: ``data`` are the training images, ``test`` other images; ``limits`` say how both are read."""

    data: str
    test: str | None = None
    resize: bool = False
    count: int | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Reference:
    """Real images with their features and classifiers: one object serves every generator of the same data."""

    compared: ImageData
    """The images that generated ones are compared with."""
    floor: ImageData
    """The images that take the place of generated ones for the score of real images."""
    learned: Images
    """All training images, to look for copies in."""
    unseen: Images | None
    """Real images that are no training images, or None."""
    names: tuple[str, str]
    """``compared`` and ``floor`` in words."""
    extractor: Extractor
    count: int
    """Number of generated, reference and floor images that are compared."""
    floor_learned: bool = False
    """Whether the floor consists of training images."""
    remarks: tuple[str, ...] = ()
    """Sentences that a reader of the scores must know."""
    classifier_images: int | None = None
    """Images that each classifier sees in its training, repeats included; None: the classifier's default."""
    classifiers: int = CLASSIFIERS
    """Number of classifiers of each kind; their seeds are 0, 1, ..."""
    _of_real: dict[int, Classifier] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def labelled(self) -> bool:
        """Whether all images have labels."""
        return self.compared.labels is not None and self.floor.labels is not None

    @cached_property
    def some_compared(self) -> ImageData:
        """``count`` random images of ``compared``: random, since a folder is sorted by class."""
        return _some(self.compared, self.count)

    @cached_property
    def features(self) -> Features:
        """Features of ``some_compared``, ``[count, F]``."""
        return self.extractor(self.some_compared.images)

    @cached_property
    def some_floor(self) -> ImageData:
        """``count`` random images of ``floor``."""
        return _some(self.floor, self.count)

    @cached_property
    def floor_features(self) -> Features:
        """Features of ``some_floor``, ``[count, F]``."""
        return self.extractor(self.some_floor.images)

    def classifier(self, seed: int = 0) -> Classifier:
        """Return the classifier of ``seed``, trained on all of ``compared`` at its first use."""
        if seed not in self._of_real:
            self._of_real[seed] = classifier = self.new_classifier(seed)
            assert self.compared.labels is not None, "the caller checks for labels"
            classifier.learn(self.compared.images, self.compared.labels)
        return self._of_real[seed]

    def new_classifier(self, seed: int) -> Classifier:
        """Return an untrained classifier with as many steps as every other one."""
        channels = self.compared.images.shape[-1]
        return Classifier(channels, len(self.compared.class_names), seed, self.classifier_images)


def read_reference(sources: Sources, source: Source, extractor: Extractor, classifiers: int = CLASSIFIERS) -> Reference:
    """Read the real images for ``source``.

    Raises ``DrawwellError`` if they are too few, or differ from the generator's images in size, colours or classes.
    """
    learned = read_images(sources.data, source.shape, sources)
    test = None if sources.test is None else read_images(sources.test, source.shape, sources)
    if test is not None and np.array_equal(test.images, learned.images):
        raise DataError(f"{sources.test}: holds the same images as --data; name others, or leave out --test")
    learned, test, remarks = _numbered(source, learned, test)
    learned, held_out, more = _apart(learned, source)
    compared, floor = halves(learned) if test is None else (learned, test)
    count = min(sources.count or _COUNT_BY_DEFAULT, len(compared.images), len(floor.images))
    check_count(count)
    unseen = held_out if test is None else _some(test, count).images
    return Reference(
        compared,
        floor,
        learned.images,
        unseen,
        _names(sources, count),
        extractor,
        count,
        test is None,
        remarks + more,
        classifiers=classifiers,
    )


def check_count(count: int) -> None:
    """Raise ``DrawwellError`` if ``count`` images are too few to measure with."""
    if count < LEAST_IMAGES:
        raise DrawwellError(
            f"{count:,} images of each kind are too few to measure with: at least {LEAST_IMAGES} are needed"
        )


def halves(images: ImageData) -> tuple[ImageData, ImageData]:
    """Return two random halves, always the same ones."""
    order = np.random.default_rng(_SEED).permutation(len(images.images))
    middle = len(order) // 2
    return _take(images, order[:middle]), _take(images, order[middle:])


def read_images(name: str, shape: tuple[int, int, int], sources: Sources) -> ImageData:
    """Read real images of ``shape``. Raises ``DataError`` for images of another shape, and for fewer than ``LEAST_IMAGES``."""
    found = load(name, shape[0], shape[2], convert=sources.resize, limits=sources.limits)
    if len(found.images) < LEAST_IMAGES:
        raise DataError(
            f"{name}: {len(found.images):,} images are too few to measure with: at least {LEAST_IMAGES} are needed"
        )
    return found


def _numbered(
    source: Source, learned: ImageData, test: ImageData | None
) -> tuple[ImageData, ImageData | None, tuple[str, ...]]:
    """The real images with their labels numbered as the generator's classes, and a remark if names were matched with numbers.

    A generator without classes takes the numbering of ``learned``. Raises ``DataError`` for images of other classes.
    """
    names = set(source.class_names)
    remarks = tuple(
        "the data's classes are numbers: they were matched with the generator's classes in their order"
        for found in (learned, test)
        if names and found is not None and not names & set(found.class_names)
    )
    if names:
        learned = _numbered_as("the generator's", source.class_names, learned)
    if test is not None and (names or (learned.class_names and test.class_names)):
        test = _numbered_as("the generator's" if names else "--data's", learned.class_names, test)
    return learned, test, remarks[:1]


def _numbered_as(whose: str, class_names: tuple[str, ...], images: ImageData) -> ImageData:
    found = numbered_as(images, class_names)
    if found is None:
        theirs = _listed(images.class_names) + (f" ({images.why_no_classes})" if images.why_no_classes else "")
        raise DataError(
            f"{whose} classes are {_listed(class_names)}, the data's {theirs}: measure with data of the same classes"
        )
    return found


def _apart(images: ImageData, source: Source) -> tuple[ImageData, Images | None, tuple[str, ...]]:
    """The training images, the images that the run held out, and a remark if the run was trained on other images."""
    if source.checkpoint is None:
        return images, None, ()
    config = source.checkpoint.config
    if config.data_sha256 != images.sha256(config.conditional):
        return images, None, (OTHER_IMAGES,)
    held_out = held_out_rows(len(images.images), config.seed).numpy()
    if len(held_out) < LEAST_IMAGES:
        return images, None, ()
    return _take(images, np.setdiff1d(np.arange(len(images.images)), held_out)), images.images[held_out], ()


def _names(sources: Sources, count: int) -> tuple[str, str]:
    """The reference and the floor in words, without folders: a card is published, and a path is private."""
    data = Path(sources.data).name
    if sources.test is None:
        return f"{count:,} images of one half of {data}", f"{count:,} images of the other half"
    return f"{count:,} images of {data}", f"{count:,} images of {Path(sources.test).name}"


def _some(images: ImageData, count: int) -> ImageData:
    """``count`` random images, always the same ones."""
    return _take(images, np.random.default_rng(_SEED).permutation(len(images.images))[:count])


def _take(images: ImageData, rows: npt.NDArray[np.int64]) -> ImageData:
    labels = None if images.labels is None else images.labels[rows]
    return replace(images, images=images.images[rows], labels=labels)


def _listed(names: tuple[str, ...]) -> str:
    return (", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")) or "none"
