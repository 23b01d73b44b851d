"""Label budgets: so many images of each named class, found by the labels of the addresses."""

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import INDEX_LIMIT, check_address
from drawwell.errors import RequestError
from drawwell.files.card import ModelCard
from drawwell.files.labels import label_of, labels_of
from drawwell.pieces import pieces
from drawwell.text import printable

LabelBudgets = Mapping[str, int] | Mapping[int, int] | Mapping[str | int, int]
"""How many images of each class, which is given by name or by index: ``{"Sneaker": 500, "Bag": 200}``."""

TRIES = 64
"""Indices that are looked at for each wanted image of a class, times the number of classes. On average it takes one."""
MAX_TRIES = 2**26
"""The most indices that are looked at. They take minutes."""
_MIN_PIECE, _MAX_PIECE = 256, 2**16
_BUDGET = re.compile(r"(.+?)=([0-9]{1,18})(?:,|\Z)")


def budget_indices(
    card: ModelCard, seed: int, per_class: LabelBudgets, start: int = 0, max_tries: int = MAX_TRIES
) -> npt.NDArray[np.int64]:
    """Return the indices of label budgets, int64 ``[N]``, ascending.

    For each class they are the first so many indices from ``start`` on whose own label is this class. They depend on nothing but the
    generator, the seed, the start and the budgets.

    Args:
        card: Says which classes there are.
        seed: The stream of images, in [0, 2**63).
        per_class: How many images of each class.
        start: The first index that is looked at.
        max_tries: The most indices that are looked at.

    Raises:
        RequestError: A class is not there, a number is wrong, or the budgets are not met within
            ``min(64 * classes * largest budget, max_tries)`` indices.
    """
    wanted = check_budgets(card, per_class)
    seed, _ = check_address(seed, 1, start, None)
    tries = min(TRIES * len(card.class_names) * max(wanted.values()), max_tries, INDEX_LIMIT - start)
    left, found = dict(wanted), list[npt.NDArray[np.int64]]()
    size = min(max(_MIN_PIECE, 2 * len(card.class_names) * max(wanted.values())), _MAX_PIECE)
    for piece in pieces(range(start, start + tries), size):
        found.append(piece.start + _taken(card, seed, piece, left))
        if not any(left.values()):
            return np.concatenate(found)
    raise RequestError(_not_met(card, wanted, left, tries))


def read_budgets(text: str) -> dict[str, int]:
    """Return the budgets that a text like ``Sneaker=500,Bag=200`` writes. Raises ``RequestError`` for any other text."""
    found = list(_BUDGET.finditer(text))
    budgets = {one[1].strip(): int(one[2]) for one in found}
    if not found or "".join(one[0] for one in found) != text:
        raise RequestError(f"the budgets {printable(text)!r} cannot be read: write them as Sneaker=500,Bag=200")
    if len(budgets) < len(found):
        raise RequestError(f"the budgets {printable(text)!r} name a class twice: name it once")
    return budgets


def check_budgets(card: ModelCard, per_class: LabelBudgets) -> dict[int, int]:
    """Return the number of images by class. Raises ``RequestError`` for a class or a number that cannot be."""
    if not isinstance(per_class, Mapping) or not per_class:
        raise RequestError('per_class must name at least one class and its number of images, as {"Bag": 200}')
    wanted: dict[int, int] = {}
    for name, count in per_class.items():
        label = label_of(card, name)
        if label in wanted:
            raise RequestError(f"per_class names the class {printable(name)!r} twice, by name and by index")
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise RequestError(
                f"per_class wants {printable(repr(count))} images of {printable(name)!r}: give 1 or more"
            )
        wanted[label] = int(count)
    return wanted


def _taken(card: ModelCard, seed: int, piece: range, left: dict[int, int]) -> npt.NDArray[np.int64]:
    """Return the positions in the piece, ascending, that the budgets take; they are less by them."""
    labels = labels_of(card, seed, piece)
    assert labels is not None, "budgets were checked, so there are classes"
    taken = []
    for label, count in left.items():
        taken.append(np.flatnonzero(labels == label)[:count])
        left[label] -= len(taken[-1])
    return np.sort(np.concatenate(taken))


def _not_met(card: ModelCard, wanted: dict[int, int], left: dict[int, int], tries: int) -> str:
    missing = [
        f"{wanted[label] - count:,} of {wanted[label]:,} images of {printable(card.class_names[label])!r}"
        for label, count in left.items()
        if count
    ]
    return f"the budgets are not met within {tries:,} indices, which have {', '.join(missing)}: ask for fewer, or start lower"
