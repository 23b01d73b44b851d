"""How many images of each class are asked for."""

import numpy as np

from drawwell.errors import RequestError
from drawwell.files import budgets as label_budgets
from drawwell.files.budgets import check_budgets
from drawwell.files.card import ModelCard
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
    for label, count in check_budgets(card, label_budgets.read_budgets(text)).items():
        budgets[label] = count
    return budgets
