"""Classes: which names mean the same one, how they are numbered, and how data takes on the numbers of a run or a generator."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from drawwell_train.data.images import ImageData

Labels = npt.NDArray[np.int64]

_MOST_DIGITS = 18
"""Of a name that is a number, so that it fits 64 bits."""
_SHOWN = 5


def tidy(name: str) -> str:
    """One spelling of names that look the same: composed letters (NFC), and no space around them."""
    return unicodedata.normalize("NFC", name).strip()


def is_text(name: str) -> bool:
    """Whether UTF-8 can hold it. Python takes every file name, and marks the bytes that are none of UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def number(names: Sequence[str]) -> tuple[Labels, tuple[str, ...]]:
    """Labels int64 ``[N]`` of the images' class names, and the classes by label: numbers in their order, others by alphabet."""
    distinct = set(names)
    key = int if all(map(_is_number, distinct)) else str
    class_names = tuple(sorted(distinct, key=lambda name: (key(name), name)))
    places = {name: place for place, name in enumerate(class_names)}
    return np.array([places[name] for name in names], dtype=np.int64), class_names


def labelled(data: ImageData, pictures: Sequence[str], told: Sequence[str]) -> ImageData:
    """Pictures with the labels of their classes, or with the reason why these cannot be told: ``told`` is the class of each picture,
    empty for one that lies in no class folder.
    """
    names = [tidy(name) for name in told]
    why_not = _why_not(pictures, names)
    if why_not:
        return replace(data, why_no_classes=why_not)
    labels, class_names = number(names)
    return replace(data, labels=labels, class_names=class_names)


def _why_not(pictures: Sequence[str], names: Sequence[str]) -> str:
    apart = [picture for picture, name in zip(pictures, names, strict=True) if not name]
    if len(apart) == len(names):
        return "the pictures lie in no class folders, and there is no labels.csv"
    if apart:
        one = len(apart) == 1
        return (
            f"{len(apart):,} picture{' lies' if one else 's lie'} beside the class folders ({some([repr(name) for name in apart])}): "
            f"move {'it' if one else 'each'} into one, or write labels.csv"
        )
    if unwritable := sorted({name for name in names if not is_text(name)}):
        return f"the name of class {unwritable[0]!r} is not UTF-8: rename it"
    if len(set(names)) == 1:
        return f"all pictures are of one class, {names[0]!r}"
    return ""


def numbered_as(data: ImageData, names: Sequence[str]) -> ImageData | None:
    """The same data with the labels that its classes have in ``names``; None where it has classes that are not there.

    Classes that are numbers, as an IDX file has them, mean places where ``names`` are words.
    """
    if data.labels is None:
        return None
    places = {tidy(name): place for place, name in enumerate(names)}
    if all(map(_is_number, data.class_names)) and not any(map(_is_number, places)):
        places = {str(place): place for place in range(len(names))}
    if not set(data.class_names) <= places.keys():
        return None
    labels = np.array([places[name] for name in data.class_names], dtype=np.int64)[data.labels]
    return replace(data, labels=labels, class_names=tuple(names))


def remarks_on_numbers(class_names: Sequence[str]) -> tuple[str, ...]:
    """A sentence where classes have numbers for names which are not their labels: one draws by either."""
    moved = [f"{name!r} is label {place}" for place, name in enumerate(class_names) if name != str(place)]
    if not moved or not all(map(_is_number, class_names)):
        return ()
    return (f"the classes' names are numbers, but not their labels: {some(moved)}; --label takes a name, HTTP a label",)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= _MOST_DIGITS


def some(items: Sequence[str]) -> str:
    """The first few, for a sentence."""
    return ", ".join(items[:_SHOWN]) + (", ..." if len(items) > _SHOWN else "")
