"""The real images that drawn ones are compared with, and those that stand in the place of drawn ones: the floor."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drawwell.errors import DrawwellError
from drawwell.pictures import Images
from drawwell_train import data
from drawwell_train.batches import held_out_rows
from drawwell_train.evaluation.classifier import Classifier
from drawwell_train.evaluation.extractors import LEAST_IMAGES, Extractor, Features
from drawwell_train.evaluation.source import Source
from drawwell_train.images import DataError, ImageData

Labels = npt.NDArray[np.int64]

_COUNT, _STACKED_COUNT = 10_000, 26_000
"""The latter as in Lin et al. 2018, section 4.1."""
_DIGITS, _PLACES = 10, 3
_SEED = 0


@dataclass(frozen=True)
class Sources:
    """Where real images lie: those that were learned from, perhaps others that were not, and how both are read."""

    data: str
    test: str | None = None
    resize: bool = False
    stacked: bool = False
    count: int | None = None


@dataclass(frozen=True)
class Reference:
    """Real images, and what is costly to know of them: made once, it serves every generator of the same data."""

    compared: ImageData
    """Those that drawn images are compared with."""
    floor: ImageData
    """Real ones in the place of drawn ones."""
    learned: Images
    """All that were learned from, to look for copies in."""
    unseen: Images | None
    """Real images that were not."""
    names: tuple[str, str]
    """Of ``compared`` and ``floor``, in words."""
    extractor: Extractor
    count: int
    """Images of each that are compared."""
    digits: ImageData | None = None
    """Where images are stacks of three digits: the single ones, which the classifier learns from."""
    classifier_images: int | None = None
    """What each classifier sees while it learns, repeats included; by default its own number."""

    @cached_property
    def features(self) -> Features:
        """Of ``compared``, ``[count, F]``."""
        return self.extractor(_some(self.compared, self.count).images)

    @cached_property
    def floor_images(self) -> Images:
        """``count`` of ``floor`` at random: a folder is sorted by class."""
        return _some(self.floor, self.count).images

    @cached_property
    def floor_features(self) -> Features:
        """Of ``floor_images``, ``[count, F]``."""
        return self.extractor(self.floor_images)

    @cached_property
    def classifier(self) -> Classifier:
        """That of real images."""
        taught = self.digits or self.compared
        assert taught.labels is not None, "the caller looked"
        return self.taught_by(taught.images, taught.labels, len(taught.class_names))

    def taught_by(self, images: Images, labels: Labels, classes: int) -> Classifier:
        """A classifier that learned from these images alone, for as long as every other one."""
        classifier = Classifier(images.shape[-1], classes, _SEED)
        classifier.learn(images, labels, self.classifier_images)
        return classifier

    def classes_of(self, images: Images) -> Labels:
        """The class of each image, int64 ``[N]``; of a stack the number that its three digits make."""
        if self.digits is None:
            return self.classifier.classes_of(images)
        return _numbers(*(self.classifier.classes_of(images[..., place : place + 1]) for place in range(_PLACES)))


def read_reference(sources: Sources, source: Source, extractor: Extractor) -> Reference:
    """The real images for a generator. Raises ``DrawwellError`` where they are too few, or not such as it draws."""
    height, width, channels = source.shape
    if sources.stacked and channels != _PLACES:
        raise DataError(f"stacks of digits have {_PLACES} colours, the generator's images have {channels}")
    shape = (height, width, 1 if sources.stacked else channels)
    learned = _read(sources.data, shape, sources.resize)
    test = None if sources.test is None else _read(sources.test, shape, sources.resize)
    _check_classes(source, learned, test)
    if sources.stacked:
        return _of_stacks(sources, learned, test, extractor)
    learned, held_out = _apart(learned, source)
    compared, floor = halves(learned) if test is None else (learned, test)
    count = _count(sources, _COUNT, compared, floor)
    names = (_name(sources.data, compared, count), _name(sources.test or "the other half", floor, count))
    unseen = held_out if test is None else _some(test, count).images
    return Reference(compared, floor, learned.images, unseen, names, extractor, count)


def _of_stacks(sources: Sources, digits: ImageData, test: ImageData | None, extractor: Extractor) -> Reference:
    count = sources.count or _STACKED_COUNT
    compared, floor = stacks(digits, count, _SEED), stacks(test or digits, count, _SEED + 1)
    if count < LEAST_IMAGES:
        _count(sources, count, compared, floor)
    names = (
        f"{count:,} stacks of {Path(sources.data).name}",
        f"{count:,} stacks of {Path(sources.test or sources.data).name}",
    )
    unseen = None if test is None else floor.images
    return Reference(compared, floor, compared.images, unseen, names, extractor, count, digits)


def halves(images: ImageData) -> tuple[ImageData, ImageData]:
    """Two halves, always the same ones."""
    order = np.random.default_rng(_SEED).permutation(len(images.images))
    middle = len(order) // 2
    return _take(images, order[:middle]), _take(images, order[middle:])


def stacks(digits: ImageData, count: int, seed: int) -> ImageData:
    """Stacked MNIST (Metz et al. 2017, section 3.3.1): three digits drawn at random, as the colours of one image.

    Labels are the numbers 0 to 999 that they make. Raises ``DataError`` unless the digits are grey and of ten classes.
    """
    if digits.labels is None or len(digits.class_names) != _DIGITS or digits.images.shape[-1] != 1:
        raise DataError("stacks are made of grey images of ten classes")
    rows = np.random.default_rng(seed).integers(len(digits.images), size=(count, _PLACES))
    images = np.concatenate([digits.images[column] for column in rows.T], axis=3)
    names = tuple(f"{number:03}" for number in range(_DIGITS**_PLACES))
    return ImageData(images, _numbers(*(digits.labels[column] for column in rows.T)), names)


def labels_like(images: ImageData, count: int) -> Labels:
    """Labels int64 ``[count]`` in the shares of the data."""
    assert images.labels is not None, "the caller looked"
    rounds = [np.random.default_rng(_SEED).permutation(images.labels)] * -(-count // len(images.labels))
    return np.concatenate(rounds)[:count]


def _numbers(hundreds: Labels, tens: Labels, ones: Labels) -> Labels:
    return (hundreds * _DIGITS + tens) * _DIGITS + ones


def _read(name: str, shape: tuple[int, int, int], resize: bool) -> ImageData:
    found = data.load(name, shape[0], shape[2], convert=resize)
    if len(found.images) < LEAST_IMAGES:
        raise DataError(f"{name}: {len(found.images):,} images are too few to measure with: it takes {LEAST_IMAGES}")
    return found


def _check_classes(source: Source, learned: ImageData, test: ImageData | None) -> None:
    for found in (learned,) if test is None else (learned, test):
        if source.class_names and source.class_names != found.class_names:
            raise DataError(
                f"the generator's classes are {_listed(source.class_names)}, the data's {_listed(found.class_names)}: "
                "they must be the same, in the same order"
            )


def _apart(images: ImageData, source: Source) -> tuple[ImageData, Images | None]:
    """What a run learned from, and what it held out, where this is its data."""
    if source.checkpoint is None:
        return images, None
    config = source.checkpoint.config
    if config.data_sha256 != images.sha256(config.conditional):
        return images, None
    held_out = held_out_rows(len(images.images), config.seed).numpy()
    if len(held_out) < LEAST_IMAGES:
        return images, None
    return _take(images, np.setdiff1d(np.arange(len(images.images)), held_out)), images.images[held_out]


def _count(sources: Sources, most: int, *both: ImageData) -> int:
    count = min(sources.count or most, *(len(one.images) for one in both))
    if count < LEAST_IMAGES:
        raise DrawwellError(f"{count:,} images of each are too few to measure with: it takes {LEAST_IMAGES}")
    return count


def _name(name: str, images: ImageData, count: int) -> str:
    found, name = len(images.images), Path(name).name  # a card goes anywhere, and a path says where its maker works
    return f"{name}, {count:,} of {found:,} images" if count < found else f"{name}, {count:,} images"


def _some(images: ImageData, count: int) -> ImageData:
    """``count`` of the images at random, always the same ones."""
    return _take(images, np.random.default_rng(_SEED).permutation(len(images.images))[:count])


def _take(images: ImageData, rows: npt.NDArray[np.int64]) -> ImageData:
    labels = None if images.labels is None else images.labels[rows]
    return replace(images, images=images.images[rows], labels=labels)


def _listed(names: tuple[str, ...]) -> str:
    return (", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")) or "none"
