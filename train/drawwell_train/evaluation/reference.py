"""The real images that drawn ones are compared with, and those that stand in the place of drawn ones: the floor."""

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
from drawwell_train.evaluation.extractors import LEAST_IMAGES, Extractor, Features
from drawwell_train.evaluation.source import Source
from drawwell_train.step.batches import held_out_rows

CLASSIFIERS = 3
"""Of each kind: one alone is off by its own chance."""
_COUNT = 10_000
_SEED = 0


@dataclass(frozen=True)
class Sources:
    """Where real images lie: those that were learned from, perhaps others that were not, and how both are read."""

    data: str
    test: str | None = None
    resize: bool = False
    count: int | None = None
    limits: Limits = field(default_factory=Limits)


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
    floor_learned: bool = False
    """Whether the floor's images were learned from too."""
    remarks: tuple[str, ...] = ()
    """What a reader must know of them."""
    classifier_images: int | None = None
    """What each classifier sees while it learns, repeats included; by default its own number."""
    classifiers: int = CLASSIFIERS
    """Seeds of each kind of classifier: 0, 1, ..."""
    _of_real: dict[int, Classifier] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def labelled(self) -> bool:
        """Whether classes are known of all."""
        return self.compared.labels is not None and self.floor.labels is not None

    @cached_property
    def some_compared(self) -> ImageData:
        """``count`` of ``compared`` at random: a folder is sorted by class."""
        return _some(self.compared, self.count)

    @cached_property
    def features(self) -> Features:
        """Of ``some_compared``, ``[count, F]``."""
        return self.extractor(self.some_compared.images)

    @cached_property
    def some_floor(self) -> ImageData:
        """``count`` of ``floor`` at random."""
        return _some(self.floor, self.count)

    @cached_property
    def floor_features(self) -> Features:
        """Of ``some_floor``, ``[count, F]``."""
        return self.extractor(self.some_floor.images)

    def classifier(self, seed: int = 0) -> Classifier:
        """That of all of ``compared``, made once for each seed."""
        if seed not in self._of_real:
            self._of_real[seed] = classifier = self.untaught(seed)
            assert self.compared.labels is not None, "the caller looked"
            classifier.learn(self.compared.images, self.compared.labels)
        return self._of_real[seed]

    def untaught(self, seed: int) -> Classifier:
        """A classifier that has learned nothing yet, and learns for as long as every other one."""
        channels = self.compared.images.shape[-1]
        return Classifier(channels, len(self.compared.class_names), seed, self.classifier_images)


def read_reference(sources: Sources, source: Source, extractor: Extractor, classifiers: int = CLASSIFIERS) -> Reference:
    """The real images for a generator. Raises ``DrawwellError`` where they are too few, or not such as it draws."""
    learned = read_images(sources.data, source.shape, sources)
    test = None if sources.test is None else read_images(sources.test, source.shape, sources)
    if test is not None and np.array_equal(test.images, learned.images):
        raise DataError(f"{sources.test}: holds the images of --data, and should hold others")
    learned, test, remarks = _numbered(source, learned, test)
    learned, held_out, more = _apart(learned, source)
    compared, floor = halves(learned) if test is None else (learned, test)
    count = min(sources.count or _COUNT, len(compared.images), len(floor.images))
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
    """Raise ``DrawwellError`` where so many images of a kind say nothing."""
    if count < LEAST_IMAGES:
        raise DrawwellError(f"{count:,} images of each are too few to measure with: it takes {LEAST_IMAGES}")


def halves(images: ImageData) -> tuple[ImageData, ImageData]:
    """Two halves, always the same ones."""
    order = np.random.default_rng(_SEED).permutation(len(images.images))
    middle = len(order) // 2
    return _take(images, order[:middle]), _take(images, order[middle:])


def read_images(name: str, shape: tuple[int, int, int], sources: Sources) -> ImageData:
    """Real images as a generator draws them. Raises ``DataError`` for others, and for fewer than 100."""
    found = load(name, shape[0], shape[2], convert=sources.resize, limits=sources.limits)
    if len(found.images) < LEAST_IMAGES:
        raise DataError(f"{name}: {len(found.images):,} images are too few to measure with: it takes {LEAST_IMAGES}")
    return found


def _numbered(
    source: Source, learned: ImageData, test: ImageData | None
) -> tuple[ImageData, ImageData | None, tuple[str, ...]]:
    """The real images with the labels of the generator's classes, or of those that it learned from where it has none; a remark where
    numbers are taken for names. Raises ``DataError`` where their classes are others.
    """
    names = set(source.class_names)
    remarks = tuple(
        "the data's classes are numbers, and taken for the generator's in their order"
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
        raise DataError(f"{whose} classes are {_listed(class_names)}, the data's {theirs}: they must be the same")
    return found


def _apart(images: ImageData, source: Source) -> tuple[ImageData, Images | None, tuple[str, ...]]:
    """What a run learned from, what it held out where this is its data, and a remark where it is not."""
    if source.checkpoint is None:
        return images, None, ()
    config = source.checkpoint.config
    if config.data_sha256 != images.sha256(config.conditional):
        return images, None, ("the run learned from other images than --data",)
    held_out = held_out_rows(len(images.images), config.seed).numpy()
    if len(held_out) < LEAST_IMAGES:
        return images, None, ()
    return _take(images, np.setdiff1d(np.arange(len(images.images)), held_out)), images.images[held_out], ()


def _names(sources: Sources, count: int) -> tuple[str, str]:
    """Of what is compared with, and of the floor. A card goes anywhere, and a path says where its maker works."""
    data = Path(sources.data).name
    if sources.test is None:
        return f"{count:,} images of one half of {data}", f"{count:,} of the other half"
    return f"{count:,} images of {data}", f"{count:,} of {Path(sources.test).name}"


def _some(images: ImageData, count: int) -> ImageData:
    """``count`` of the images at random, always the same ones."""
    return _take(images, np.random.default_rng(_SEED).permutation(len(images.images))[:count])


def _take(images: ImageData, rows: npt.NDArray[np.int64]) -> ImageData:
    labels = None if images.labels is None else images.labels[rows]
    return replace(images, images=images.images[rows], labels=labels)


def _listed(names: tuple[str, ...]) -> str:
    return (", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")) or "none"
