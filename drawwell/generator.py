"""What every source of images answers, local or remote: the calls and the batch."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from drawwell.addresses import latents
from drawwell.addresses.latents import CheckedIndices, Indices
from drawwell.errors import RequestError
from drawwell.files.card import ModelCard
from drawwell.text import printable

LabelChoice = int | Sequence[int] | npt.NDArray[np.integer]
"""Which class to draw: one for all images, or one for each."""
CheckedLabels = int | npt.NDArray[np.int64]

_MOST_NAMED = 12
"""Classes named in a sentence."""
_MOST_LETTERS = 80
"""Of the name of each."""
_NO_LABEL = "this generator takes no label"


@dataclass(frozen=True, eq=False)
class Batch:
    """Images uint8 ``[N, H, W, C]`` with their addresses; labels int64 ``[N]``, or None for a generator without classes."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None
    seed: int
    indices: CheckedIndices
    digest: str

    def __len__(self) -> int:
        return len(self.images)


class ImageGenerator(Protocol):
    """A well of images: ``drawwell.open`` returns one."""

    @property
    def card(self) -> ModelCard:
        """What the generator says of itself."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the generator file, 64 hex digits."""
        ...

    def generate(
        self,
        seed: int,
        count: int | None = None,
        start: int = 0,
        *,
        indices: Indices | None = None,
        labels: LabelChoice | None = None,
    ) -> Batch:
        """Draw the images of indices ``start`` to ``start + count - 1`` of ``seed``, or those of ``indices``, in their order.

        ``labels``, one for all or one for each, are the classes to draw, in place of those that belong to the addresses.

        Raises ``RequestError`` for a seed or an index outside [0, 2**63), a count below 1, or labels that the generator has not.
        """
        ...

    def close(self) -> None:
        """Give back what is held open. The generator draws no more."""
        ...


def address(seed: int, count: int | None, start: int, indices: Indices | None) -> tuple[int, CheckedIndices]:
    """Return the seed and the indices that a call names. Raises ``RequestError`` where it names none, or wrong ones."""
    try:
        if indices is None:
            if count is None:
                raise RequestError("say how many images: count, or the indices themselves")
            latents.check_indices([start])
            if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
                raise RequestError(f"count must be an integer of at least 1, not {printable(repr(count))}")
            indices = range(int(start), int(start) + int(count))
        elif count is not None or start != 0:
            raise RequestError("give count and start, or indices, not both")
        checked = latents.check_indices(indices)
        if not len(checked):
            raise RequestError("indices must name at least one image")
        return latents.check_seed(seed), checked
    except (TypeError, ValueError) as error:
        raise RequestError(str(error)) from None


def allocate(count: int, card: ModelCard) -> npt.NDArray[np.uint8]:
    """Room for a batch, uint8 ``[count, H, W, C]``. Raises ``RequestError`` where memory does not hold it."""
    try:
        return np.empty((count, *card.image_shape), np.uint8)
    except (MemoryError, ValueError):
        gibibytes = count * math.prod(card.image_shape) / 2**30
        raise RequestError(
            f"{count:,} images in one batch need {gibibytes:,.0f} GiB of memory: draw them in several calls"
        ) from None


def pieces(indices: CheckedIndices, size: int) -> Iterator[CheckedIndices]:
    """Cut indices into consecutive pieces of at most ``size``."""
    for first in range(0, len(indices), size):
        yield indices[first : first + size]


def check_labels(card: ModelCard, labels: LabelChoice | None, count: int) -> CheckedLabels | None:
    """Return one label, or int64 ``[count]``; None for None. Raises ``RequestError`` with what is wrong with them."""
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
    """The class of this name, else of this index. Raises ``RequestError`` where there is none."""
    if not card.class_names:
        raise RequestError(_NO_LABEL)
    for names in (card.class_names, tuple(map(str, range(len(card.class_names))))):
        if text in names:
            return names.index(text)
    raise RequestError(f"there is no class {printable(text, _MOST_LETTERS)!r}: {_classes(card)}")


def labels_at(labels: CheckedLabels | None, first: int, last: int) -> CheckedLabels | None:
    """Those of the images at positions ``first`` to ``last - 1``."""
    return labels[first:last] if isinstance(labels, np.ndarray) else labels


def labels_of(
    card: ModelCard, seed: int, indices: Indices, labels: CheckedLabels | None = None
) -> npt.NDArray[np.int64] | None:
    """The labels int64 ``[N]`` of the images: ``labels``, else those that belong to the addresses. None for a generator without classes."""
    if not card.class_names:
        return None
    if labels is not None:
        return np.full(len(indices), labels, np.int64)
    return latents.labels(seed, indices, len(card.class_names), card.latent_dim, card.prior)


def members_of(card: ModelCard, seed: int, indices: Indices) -> npt.NDArray[np.int64] | None:
    """Which generator of a mixture draws each of the images, int64 ``[N]``. None for a file of one generator."""
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
    named = ", ".join(repr(printable(name, _MOST_LETTERS)) for name in card.class_names[:_MOST_NAMED])
    more = len(card.class_names) - _MOST_NAMED
    return f"the classes are {named}" + (f" and {more:,} more" if more > 0 else "")
