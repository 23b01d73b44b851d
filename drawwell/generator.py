"""The calls that every generator answers, local or remote, and the batch that it returns."""

import math
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import CheckedIndices, Indices
from drawwell.errors import RequestError
from drawwell.files.card import ModelCard
from drawwell.files.labels import LabelChoice

Images = npt.NDArray[np.uint8]
"""Pixels, uint8 ``[N, H, W, C]``, or ``[H, W, C]`` for one image, with 1 channel (grey) or 3 (RGB)."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Images with their addresses.

    Attributes:
        images: uint8 ``[N, H, W, C]``.
        labels: int64 ``[N]``, the class of each image; None for a generator without classes.
        seed: The seed of all images.
        indices: The index of each image: a range, or int64 ``[N]``.
        digest: SHA-256 of the generator file, 64 hex digits. Digest, seed and index name an image for good.

    Example:
        >>> batch = drawwell.open("fashion").generate(seed=7, count=2, start=40)
        >>> len(batch), batch.images.shape, batch.indices
        (2, (2, 28, 28, 1), range(40, 42))
    """

    images: Images
    labels: npt.NDArray[np.int64] | None
    seed: int
    indices: CheckedIndices
    digest: str

    def __len__(self) -> int:
        return len(self.images)


class ImageGenerator(Protocol):
    """A generator of images by address: ``drawwell.open`` returns one, on this machine or on a server.

    Example:
        >>> with drawwell.open("fashion") as generator:
        ...     batch = generator.generate(seed=7, count=3)
        >>> generator.card.name, batch.images.shape
        ('fashion', (3, 28, 28, 1))
    """

    @property
    def card(self) -> ModelCard:
        """The model card: image size, classes, training data and measured quality."""
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
        """Draw images by their addresses.

        Args:
            seed: The stream of images, in [0, 2**63).
            count: How many images, from index ``start`` on.
            start: The first index, in [0, 2**63).
            indices: The indices to draw, in this order, in place of ``count`` and ``start``.
            labels: The classes to draw, by index: one for all images, or one for each. By default each image has the
                class that follows from its address.

        Returns:
            The images, uint8 ``[N, H, W, C]``, with their labels and addresses. An image is the same in every batch.

        Raises:
            RequestError: A seed, an index, a count or a label is out of range, or the batch does not fit into memory.
            ServerError: The server did not send the whole, right batch after all retries (remote generators only).

        Example:
            >>> generator = drawwell.open("fashion")
            >>> first, again = generator.generate(seed=7, count=64), generator.generate(seed=7, indices=[63, 5])
            >>> bool((again.images[1] == first.images[5]).all())
            True
        """
        ...

    def close(self) -> None:
        """Free threads, memory and connections. The generator draws no more."""
        ...

    def __enter__(self) -> Self:
        """Return the generator; the ``with`` block closes it at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def allocate(count: int, card: ModelCard) -> Images:
    """Return room for a batch, uint8 ``[count, H, W, C]``. Raises ``RequestError`` if memory does not hold it."""
    try:
        return np.empty((count, *card.image_shape), np.uint8)
    except (MemoryError, ValueError):
        gibibytes = count * math.prod(card.image_shape) / 2**30
        raise RequestError(
            f"{count:,} images in one batch need {gibibytes:,.0f} GiB of memory: draw them in several calls"
        ) from None
