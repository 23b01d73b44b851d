"""What every source of images answers, local or remote: the calls and the batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from drawwell import latents
from drawwell.card import ModelCard
from drawwell.errors import RequestError
from drawwell.latents import CheckedIndices, Indices


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


class Generator(Protocol):
    """A well of images: ``drawwell.open`` returns one."""

    @property
    def card(self) -> ModelCard:
        """What the generator says of itself."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the generator file, 64 hex digits."""
        ...

    def generate(self, seed: int, count: int | None = None, start: int = 0, *, indices: Indices | None = None) -> Batch:
        """Draw the images of indices ``start`` to ``start + count - 1`` of ``seed``, or those of ``indices``, in their order.

        Raises ``RequestError`` for a seed or an index outside [0, 2**63), or a count below 1.
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
                raise RequestError(f"count must be an integer of at least 1, not {count!r}")
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


def labels_of(card: ModelCard, seed: int, indices: Indices) -> npt.NDArray[np.int64] | None:
    """The labels int64 ``[N]`` that belong to the addresses, or None for a generator without classes."""
    if not card.class_names:
        return None
    return latents.labels(seed, indices, len(card.class_names), card.latent_dim, card.prior)
