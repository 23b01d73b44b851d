"""The calls that every generator answers, local or remote, and the batch that it returns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import CheckedIndices, Indices
from drawwell.errors import RequestError
from drawwell.files.budgets import LabelBudgets
from drawwell.files.card import ModelCard
from drawwell.files.labels import LabelChoice
from drawwell.files.selection import Selection

Images = npt.NDArray[np.uint8]
"""Pixels, uint8 ``[N, H, W, C]``, or ``[H, W, C]`` for one image, with 1 channel (grey) or 3 (RGB)."""

Latents = Sequence[Sequence[float]] | npt.NDArray[np.floating]
"""Inputs of a generator, one row of ``latent_dim`` numbers for each image."""
Address = tuple[int, int]
"""The seed and the index of an image."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Images with their addresses.

    Attributes:
        images: uint8 ``[N, H, W, C]``.
        labels: int64 ``[N]``, the class of each image; None for a generator without classes.
        seed: The seed of all images; None for images of latents, which have no address.
        indices: The index of each image: a range, or int64 ``[N]``.
        digest: SHA-256 of the generator file, 64 hex digits. Digest, seed and index name an image for good.
        spread: The factor of the latents, 1 unless ``truncation``, ``spread`` or a selection named another.

    Example:
        >>> batch = drawwell.open("fashion").generate(seed=7, count=2, start=40)
        >>> len(batch), batch.images.shape, batch.indices
        (2, (2, 28, 28, 1), range(40, 42))
    """

    images: Images
    labels: npt.NDArray[np.int64] | None
    seed: int | None
    indices: CheckedIndices
    digest: str
    spread: float = 1.0

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
        seed: int | None = None,
        count: int | None = None,
        start: int = 0,
        *,
        indices: Indices | None = None,
        labels: LabelChoice | None = None,
        per_class: LabelBudgets | None = None,
        selection: Selection | str | Path | None = None,
        truncation: float = 1.0,
        spread: float = 1.0,
        latents: Latents | None = None,
    ) -> Batch:
        """Draw images by their addresses.

        Args:
            seed: The stream of images, in [0, 2**63).
            count: How many images, from index ``start`` on.
            start: The first index, in [0, 2**63).
            indices: The indices to draw, in this order, in place of ``count`` and ``start``.
            labels: The classes to draw, by name or by index: one for all images, or one for each. By default each image has the
                class that follows from its address.
            per_class: How many images of each class, in place of ``count``, ``indices`` and ``labels``: for each class the
                first so many indices from ``start`` on whose own label it is. The images come in ascending order of index.
            selection: A selection, or its file, in place of all of these except ``count`` and ``start``, which may take a part
                of it: ``count`` images from position ``start`` on.
            truncation: A factor of the latents in (0, 1]. Below 1 the images vary less, which is bad for training sets.
            spread: A factor of the latents in (0, 2], in place of ``truncation``.
            latents: The inputs of the generator, ``[N, D]``, rounded to float32, in place of addresses. A generator with classes
                needs ``labels`` with them. In a mixture the first generator draws them.

        Returns:
            The images, uint8 ``[N, H, W, C]``, with their labels and addresses. An image is the same in every batch.

        Raises:
            RequestError: A seed, an index, a count or a label is out of range, arguments exclude each other, the budgets are
                not met within 64 indices for each wanted image and class, or the batch does not fit into memory.
            SelectionError: The selection is of another generator, or its file is no whole selection.
            ServerError: The server did not send the whole, right batch after all retries (remote generators only).

        Example:
            >>> generator = drawwell.open("fashion")
            >>> generator.generate(seed=7, per_class={"Sneaker": 2, "Bag": 1}).labels.tolist()
            [8, 7, 7]
            >>> first, again = generator.generate(seed=7, count=64), generator.generate(seed=7, indices=[63, 5])
            >>> bool((again.images[1] == first.images[5]).all())
            True
        """
        ...

    def interpolate(
        self,
        first: Address,
        last: Address,
        steps: int,
        *,
        labels: LabelChoice | None = None,
        truncation: float = 1.0,
        spread: float = 1.0,
    ) -> Batch:
        """Draw the images between two addresses, on a sphere for the normal prior, on a line for the uniform one.

        Args:
            first: The address ``(seed, index)`` of the first image. In a mixture its generator draws all images.
            last: The address of the last image.
            steps: How many images, both ends included, at least 2.
            labels: The classes to draw, by name or by index: one for all images, or one for each. A generator with classes needs
                them.
            truncation: As in ``generate``.
            spread: As in ``generate``.

        Returns:
            The images, uint8 ``[steps, H, W, C]``. They have no address: the seed is None, and the indices count from 0.

        Raises:
            RequestError: An argument is wrong, or the batch does not fit into memory.
            ServerError: The server did not send the whole, right batch after all retries (remote generators only).

        Example:
            >>> drawwell.open("fashion").interpolate((7, 0), (7, 5), 8, labels="Bag").images.shape
            (8, 28, 28, 1)
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
