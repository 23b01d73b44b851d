"""The class of each image, and the generator of a mixture that draws it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from drawwell.addresses import latents
from drawwell.addresses.arguments import Indices
from drawwell.errors import RequestError
from drawwell.files.card import ModelCard
from drawwell.text import printable

LabelChoice = int | str | Sequence[int | str] | npt.NDArray[np.integer] | npt.NDArray[np.str_]
"""The classes to draw, by name or by index: one for all images, or one for each. A name that is also an index is the name."""
CheckedLabels = int | npt.NDArray[np.int64]
"""The same after ``check_labels``."""


class HasClasses(Protocol):
    """The card of a generator or of a discriminator."""

    @property
    def class_names(self) -> tuple[str, ...]: ...


_MAX_NAMED_CLASSES, _MAX_NAME_CHARACTERS = 12, 80
"""In an error sentence."""
_NO_LABEL = "this generator takes no label: it was trained without classes"


def check_labels(card: HasClasses, labels: LabelChoice | None, count: int) -> CheckedLabels | None:
    """Return one label, or int64 ``[count]``; None for None. Raises ``RequestError`` for labels that the generator does not have."""
    if labels is None:
        return None
    if not card.class_names:
        raise RequestError(_NO_LABEL)
    if isinstance(labels, str) or not isinstance(labels, Sequence | np.ndarray):
        return label_of(card, labels)
    if isinstance(labels, np.ndarray):
        _check_array(labels)
    if len(labels) != count:
        raise RequestError(f"{len(labels):,} labels for {count:,} images: give one for all, or one for each")
    if isinstance(labels, np.ndarray) and labels.dtype.kind != "U":
        for label in (labels.min(), labels.max()):
            label_of(card, label)
        return labels.astype(np.int64)
    return np.array([label_of(card, label) for label in labels], np.int64)


def label_of(card: HasClasses, label: int | str) -> int:
    """Return the class with this name or this index. Raises ``RequestError`` if there is none."""
    if not card.class_names:
        raise RequestError(_NO_LABEL)
    if isinstance(label, str):
        return label_named(card, label)
    if isinstance(label, bool) or not isinstance(label, int | np.integer):
        raise RequestError(f"a label must be a name or an integer, not {type(label).__name__}")
    if not 0 <= label < len(card.class_names):
        raise RequestError(f"a label must be in [0, {len(card.class_names):,}), not {label}: {_classes(card)}")
    return int(label)


def label_named(card: HasClasses, text: str) -> int:
    """Return the class with this name, or else with this index. Raises ``RequestError`` if there is none."""
    if not card.class_names:
        raise RequestError(_NO_LABEL)
    label = _places(card.class_names).get(text)
    if label is None:
        shown, last = printable(text, _MAX_NAME_CHARACTERS), len(card.class_names) - 1
        raise RequestError(f"there is no class {shown!r}: {_classes(card)}, by index 0 to {last}")
    return label


def labels_at(labels: CheckedLabels | None, first: int, last: int) -> CheckedLabels | None:
    """Return the chosen labels of the images at positions ``first`` to ``last - 1``."""
    return labels[first:last] if isinstance(labels, np.ndarray) else labels


def labels_of(
    card: ModelCard, seed: int, indices: Indices, labels: CheckedLabels | None = None
) -> npt.NDArray[np.int64] | None:
    """Return int64 ``[N]``: the chosen ``labels``, or else the labels of the addresses. None for a generator without classes."""
    if not card.class_names:
        return None
    if labels is not None:
        return np.full(len(indices), labels, np.int64)
    return latents.labels(seed, indices, len(card.class_names), card.latent_dim, card.prior)


def _check_array(labels: npt.NDArray[np.generic]) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise RequestError(f"labels must be integers or names in one dimension, not {labels.dtype} in {labels.ndim}")


@lru_cache(maxsize=16)
def _places(class_names: tuple[str, ...]) -> dict[str, int]:
    """Return the class of each text: a name wins over an index."""
    numbers = {str(place): place for place in range(len(class_names))}
    return numbers | {name: place for place, name in enumerate(class_names)}


def _classes(card: HasClasses) -> str:
    """The first classes, quoted, since a card may come from anywhere."""
    named = ", ".join(repr(printable(name, _MAX_NAME_CHARACTERS)) for name in card.class_names[:_MAX_NAMED_CLASSES])
    more = len(card.class_names) - _MAX_NAMED_CLASSES
    return f"the classes are {named}" + (f" and {more:,} more" if more > 0 else "")
