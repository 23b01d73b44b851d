"""How many images of each class are asked for."""

import numpy as np

from drawwell.errors import RequestError
from drawwell.files.card import ModelCard
from drawwell.files.labels import label_named
from drawwell.text import printable
from drawwell_train.data.classes import LabelArray

Budgets = LabelArray
"""The number of images of each class, int64 ``[classes]``."""


def read_budgets(card: ModelCard, count: int | None, per_class: str | None) -> Budgets:
    """Return the budgets that ``--count`` or ``--per-class`` names.

    ``count`` is shared out equally, as addresses share out the classes; the first classes get what is left over.
    Raises ``RequestError``.
    """
    if not card.class_names:
        raise RequestError(
            f"{printable(card.name)} has no classes, and a selection keeps images by their class: name a generator with classes"
        )
    if (count is None) == (per_class is None):
        raise RequestError("give --count, the number of images, or --per-class, the number for each class; not both")
    return _equal(card, count) if count is not None else _by_name(card, per_class or "")


def _equal(card: ModelCard, count: int) -> Budgets:
    classes = len(card.class_names)
    if count < classes:
        raise RequestError(
            f"--count must be at least 1 for each of {classes:,} classes, not {count}: name fewer classes with --per-class"
        )
    return np.array([count // classes + (label < count % classes) for label in range(classes)], np.int64)


def _by_name(card: ModelCard, text: str) -> Budgets:
    budgets = np.zeros(len(card.class_names), np.int64)
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.rpartition("="))
        if not name or not number.isdecimal() or not 0 < int(number) < 2**31:
            raise RequestError(
                f"--per-class: {printable(part.strip())!r} is no class with its number of images: write Sneaker=500,Bag=200"
            )
        label = label_named(card, name)
        if budgets[label]:
            raise RequestError(f"--per-class: names class {printable(name)!r} twice: give one number for it")
        budgets[label] = int(number)
    return budgets
