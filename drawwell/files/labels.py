"""The class of each image, and the generator of a mixture that draws it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from drawwell.addresses import latents
from drawwell.addresses.arguments import Indices
from drawwell.errors import RequestError
from drawwell.files.card import ModelCard
from drawwell.text import printable

LabelChoice = int | Sequence[int] | npt.NDArray[np.integer]
"""The classes to draw, by index: one for all images, or one for each."""
CheckedLabels = int | npt.NDArray[np.int64]
"""The same after ``check_labels``."""

_MAX_NAMED_CLASSES, _MAX_NAME_CHARACTERS = 12, 80
"""In an error sentence."""
_NO_LABEL = "this generator takes no label: it was trained without classes"


def check_labels(card: ModelCard, labels: LabelChoice | None, count: int) -> CheckedLabels | None:
    """Return one label, or int64 ``[count]``; None for None. Raises ``RequestError`` for labels that the generator does not have."""
    if labels is None:
        return None
    if not card.class_names:
        raise RequestError(_NO_LABEL)
    if isinstance(labels, str) or not isinstance(labels, Sequence | np.ndarray):
        return _check_label(card, labels)
    if isinstance(labels, np.ndarray) and (labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer)):
        raise RequestError(f"labels must be integers in one dimension, not {labels.dtype} in {labels.ndim}")
    if len(labels) != count:
        raise RequestError(f"{len(labels):,} labels for {count:,} images: give one for all, or one for each")
    for label in (labels.min(), labels.max()) if isinstance(labels, np.ndarray) else labels:
        _check_label(card, label)
    return np.array(labels, np.int64)


def label_named(card: ModelCard, text: str) -> int:
    """Return the class with this name, or else with this index. Raises ``RequestError`` if there is none."""
    if not card.class_names:
        raise RequestError(_NO_LABEL)
    for names in (card.class_names, tuple(map(str, range(len(card.class_names))))):
        if text in names:
            return names.index(text)
    raise RequestError(
        f"there is no class {printable(text, _MAX_NAME_CHARACTERS)!r}: {_classes(card)}, by index 0 to {len(card.class_names) - 1}"
    )


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


def members_of(card: ModelCard, seed: int, indices: Indices) -> npt.NDArray[np.int64] | None:
    """Return int64 ``[N]``: the generator of a mixture that draws each image. None for a file of one generator."""
    if card.generators == 1:
        return None
    return latents.members(seed, indices, card.generators, card.latent_dim, card.prior)


def _check_label(card: ModelCard, label: int) -> int:
    if isinstance(label, bool) or not isinstance(label, int | np.integer):
        raise RequestError(f"a label must be an integer, not {type(label).__name__}")
    if not 0 <= label < len(card.class_names):
        raise RequestError(f"a label must be in [0, {len(card.class_names):,}), not {label}: {_classes(card)}")
    return int(label)


def _classes(card: ModelCard) -> str:
    """The first classes, quoted, since a card may come from anywhere."""
    named = ", ".join(repr(printable(name, _MAX_NAME_CHARACTERS)) for name in card.class_names[:_MAX_NAMED_CLASSES])
    more = len(card.class_names) - _MAX_NAMED_CLASSES
    return f"the classes are {named}" + (f" and {more:,} more" if more > 0 else "")
