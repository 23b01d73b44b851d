"""The images of a certificate: real ones to learn from, to validate with and to test with, and drawn ones."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drawwell import atomic_files as files
from drawwell.files.selection import Selection
from drawwell.generator import Images
from drawwell.pieces import pieces
from drawwell_train.data.classes import LabelArray, numbered_as
from drawwell_train.data.dataset import load
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.source import Source

MAX_OVERLAP = 0.01
"""Largest share of test images that may be training images, too."""
_VALIDATION_SHARE, _MAX_VALIDATION_IMAGES = 0.1, 5_000
_LEAST_OF_A_CLASS = 2
"""Real images of each class at the smallest share."""
_SEED = 0
_CANDIDATES_AT_ONCE = 1024


@dataclass(frozen=True)
class Labelled:
    """Images uint8 ``[N, H, W, C]`` with labels int64 ``[N]``."""

    images: Images
    labels: LabelArray

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, rows: npt.NDArray[np.int64]) -> "Labelled":
        """Return some of them."""
        return Labelled(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Real:
    """Real images: the two parts of TRAIN, and TEST."""

    learn: Labelled
    """What classifiers learn from."""
    validation: Labelled
    """What chooses the mixing ratio; no classifier learns from it."""
    test: Labelled
    class_names: tuple[str, ...]
    data_sha256: str
    """SHA-256 of TRAIN with its labels, as a run's configuration has it."""
    test_sha256: str
    overlap: int
    """Number of test images whose pixels are a training image's."""

    def share(self, share: float) -> Labelled:
        """Return the first images of each class: a smaller share is a part of a larger one. Raises ``DataError`` for too few."""
        return _share(self.learn, share, self.class_names)


def write_share(data: str, share: float, file: Path) -> int:
    """Write the real images of one share as .npz, so that a generator can be trained that sees no others. Return their number.

    Raises ``DataError`` as ``read_real`` and ``Real.share`` do, ``WriteError`` if the file cannot be written.
    """
    found = load(data)
    if found.labels is None:
        raise _no_classes(data, found)
    learn, _ = _apart(Labelled(found.images, found.labels))
    part, content = _share(learn, share, found.class_names), io.BytesIO()
    np.savez_compressed(content, images=part.images, labels=part.labels, classes=np.array(found.class_names))
    files.write(file, content.getvalue())
    return len(part)


def read_real(data: str, test: str, source: Source, resize: bool) -> Real:
    """Read the real images for ``source``.

    Raises ``DataError`` for images without classes, for other classes or another shape than the generator's, and for a test set
    of which more than 1 % are training images.
    """
    learned, tested = (_read(name, source, resize) for name in (data, test))
    overlap = _overlap(learned.images, tested.images)
    if overlap > MAX_OVERLAP * len(tested):
        raise DataError(
            f"{test}: {overlap:,} of its {len(tested):,} images are in {data}, too, and at most {MAX_OVERLAP:.0%} may be: "
            "name test images that are no training images"
        )
    hashes = [ImageData(one.images, one.labels).sha256(with_labels=True) for one in (learned, tested)]
    learn, validation = _apart(learned)
    return Real(learn, validation, tested, source.class_names, hashes[0], hashes[1], overlap)


def drawn_images(source: Source, seed: int, count: int) -> Labelled:
    """Draw the first ``count`` images of ``seed``, each of the class of its address."""
    assert source.labels_at is not None, "the caller checks for classes"
    labels = source.labels_at(seed, range(count))
    return Labelled(source.draw(seed, range(count), labels), labels)


def selected_images(source: Source, selection: Selection) -> Labelled:
    """Draw the images of a selection. Raises ``SelectionError`` if it is of another generator, ``DataError`` for a server with a spread."""
    selection.check_generator(source.digest, source.name)
    draw = source.draw if selection.spread == 1 else source.at_spread and source.at_spread(selection.spread)
    if draw is None:
        raise DataError(f"{source.name}: the selection has a spread of {selection.spread:g}: name the generator's file")
    images, labels = [], []
    for near in pieces(range(int(selection.indices[0]), int(selection.indices[-1]) + 1), _CANDIDATES_AT_ONCE):
        chosen, every = _of_piece(source, selection, near)
        if len(chosen):
            images.append(draw(selection.seed, near, every)[chosen])
            labels.append(every[chosen])
    return Labelled(np.concatenate(images), np.concatenate(labels))


def _of_piece(source: Source, selection: Selection, near: range) -> tuple[npt.NDArray[np.int64], LabelArray]:
    """The positions in ``near`` that are selected, and a label for every position."""
    assert source.labels_at is not None, "the caller checks for classes"
    first, last = np.searchsorted(selection.indices, [near.start, near.stop])
    chosen = selection.indices[first:last] - near.start
    every = source.labels_at(selection.seed, near)
    if selection.labels is not None:
        every[chosen] = selection.labels[first:last] if isinstance(selection.labels, np.ndarray) else selection.labels
    return chosen, every


def _read(name: str, source: Source, resize: bool) -> Labelled:
    height, _, channels = source.shape
    found = load(name, height, channels, convert=resize)
    if found.labels is None:
        raise _no_classes(name, found)
    numbered = numbered_as(found, source.class_names)
    if numbered is None or numbered.labels is None or len(np.unique(numbered.labels)) < len(source.class_names):
        raise DataError(
            f"{name}: has the classes {_listed(found.class_names)}, and the generator {_listed(source.class_names)}: "
            "certify with data of exactly the generator's classes"
        )
    return Labelled(numbered.images, numbered.labels)


def _no_classes(name: str, found: ImageData) -> DataError:
    why = f" ({found.why_no_classes})" if found.why_no_classes else ""
    return DataError(f"{name}: has no classes{why}: a certificate needs labelled images")


def _share(learn: Labelled, share: float, class_names: Sequence[str]) -> Labelled:
    counts = np.bincount(learn.labels)
    kept = np.floor(share * counts + 1e-9).astype(np.int64)
    if kept[least := int(kept.argmin())] < _LEAST_OF_A_CLASS:
        raise DataError(
            f"{100 * share:g} % of the real images are {kept[least]} of class {class_names[least]!r}, and at least "
            f"{_LEAST_OF_A_CLASS} are needed: use a larger share, or more images in --data"
        )
    return learn.rows(_first_of_each_class(learn.labels, kept))


def _overlap(learned: Images, tested: Images) -> int:
    known = {_sha256(image) for image in learned}
    return sum(_sha256(image) in known for image in tested)


def _sha256(image: Images) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()


def _apart(learned: Labelled) -> tuple[Labelled, Labelled]:
    """The part to learn from, and the part to validate with: a tenth of each class, at most 5,000 images in all."""
    share = min(_VALIDATION_SHARE, _MAX_VALIDATION_IMAGES / len(learned))
    counts = np.bincount(learned.labels)
    held = _first_of_each_class(learned.labels, np.maximum(1, (share * counts).astype(np.int64)))
    others = np.setdiff1d(np.arange(len(learned)), held)
    return learned.rows(np.random.default_rng(_SEED).permutation(others)), learned.rows(held)


def _first_of_each_class(labels: LabelArray, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows of the first images of each class in a random order that is always the same, ascending."""
    order = np.random.default_rng(_SEED).permutation(len(labels))
    kept = [order[labels[order] == label][:count] for label, count in enumerate(counts)]
    return np.sort(np.concatenate(kept))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
