"""Classes: which names are the same class, how classes are numbered, and renumbering as a run or a generator has them."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from drawwell_train.data.images import ImageData

LabelArray = npt.NDArray[np.int64]

_MOST_DIGITS = 18
"""Most digits of a name that counts as a number: it then fits 64 bits."""
_NAMES_SHOWN = 5


def tidy(name: str) -> str:
    """One spelling for names that look the same: composed letters (NFC), no space around them."""
    return unicodedata.normalize("NFC", name).strip()


def is_text(name: str) -> bool:
    """Whether UTF-8 can encode ``name``. Python accepts every file name, and marks the bytes that are not UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def number(names: Sequence[str]) -> tuple[LabelArray, tuple[str, ...]]:
    """Labels int64 ``[N]`` of the class names of images, and the class names by label, in natural order: "class2" before "class10"."""
    class_names = tuple(sorted(set(names), key=_natural))
    places = {name: place for place, name in enumerate(class_names)}
    return np.array([places[name] for name in names], dtype=np.int64), class_names


def labelled(data: ImageData, pictures: Sequence[str], given: Sequence[str]) -> ImageData:
    """Add labels to pictures, or the reason why there are none. ``given`` is the class of each picture, empty outside class folders."""
    names = [tidy(name) for name in given]
    why_not = _why_not(pictures, names)
    if why_not:
        return replace(data, why_no_classes=why_not)
    labels, class_names = number(names)
    return replace(data, labels=labels, class_names=class_names)


def _why_not(pictures: Sequence[str], names: Sequence[str]) -> str:
    apart = [picture for picture, name in zip(pictures, names, strict=True) if not name]
    if len(apart) == len(names):
        return "the pictures are not in class folders, and there is no labels.csv"
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
    """The same data with labels as ``names`` number the classes; None where it has a class that ``names`` lacks.

    Where the classes of the data are numbers, as in an IDX file, and ``names`` are words, the numbers are positions in ``names``.
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
    """A sentence if class names are numbers that differ from the labels, since one can draw by either."""
    moved = [f"{name!r} is label {place}" for place, name in enumerate(class_names) if name != str(place)]
    if not moved or not all(map(_is_number, class_names)):
        return ()
    return (
        f"the class names are numbers, but not the labels: {some(moved)}; "
        "a text (--label, '1' in HTTP) takes a name, a number in HTTP takes a label",
    )


def _natural(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """Sorts text as text, and the numbers in it as numbers, of any length: fewer digits are less."""
    parts = [(part, part.lstrip("0")) for part in re.split("([0-9]+)", name)]
    key = [(False, len(bare), bare) if place % 2 else (True, 0, part) for place, (part, bare) in enumerate(parts)]
    return [part for part in key if part != (True, 0, "")], name


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= _MOST_DIGITS


def some(items: Sequence[str]) -> str:
    """The first few items, for a sentence."""
    return ", ".join(items[:_NAMES_SHOWN]) + (", ..." if len(items) > _NAMES_SHOWN else "")
