"""The images of a data set as a list of addresses of one generator."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import INDEX_LIMIT, CheckedIndices, check_address
from drawwell.errors import RequestError
from drawwell.files.labels import CheckedLabels, LabelChoice, check_labels
from drawwell.files.selection import Selection, read_selection
from drawwell.generator import Batch, ImageGenerator
from drawwell.opening import open_generator

Source = ImageGenerator | str | os.PathLike[str] | Sequence[str]
"""An open generator, or what ``drawwell.open`` opens: a name, a path, a URL or a list of URLs."""
SelectionSource = Selection | str | os.PathLike[str]
"""A selection, or the path of its file."""


@dataclass(frozen=True)
class AddressList:
    """Addresses of one generator by position.

    Attributes:
        generator: Draws the images.
        seed: The seed of all images.
        indices: The index of each position: a range, or int64 ``[N]``.
        labels: One class for all, one for each position (int64 ``[N]``), or None for the classes of the addresses.
        spread: The factor of the latents.
    """

    generator: ImageGenerator
    seed: int
    indices: CheckedIndices
    labels: CheckedLabels | None
    spread: float = 1.0

    def __len__(self) -> int:
        return len(self.indices)

    def draw(self, positions: npt.NDArray[np.int64], epoch: int = 0) -> Batch:
        """Draw the images at ``positions`` with one call, in epoch ``epoch`` of fresh addresses. Raises as ``generate`` does."""
        indices = self.indices
        chosen = indices[0] + positions if isinstance(indices, range) else indices[positions]
        labels = self.labels[positions] if isinstance(self.labels, np.ndarray) else self.labels
        shifted = chosen + epoch * len(self)
        return self.generator.generate(self.seed, indices=shifted, labels=labels, spread=self.spread)

    def check_epoch(self, epoch: int) -> None:
        """Raise ``RequestError`` if ``epoch`` of fresh addresses needs an index of 2**63 or more, or is negative."""
        if epoch < 0 or self.indices[0] + (epoch + 1) * len(self) > INDEX_LIMIT:
            raise RequestError(f"epoch {epoch} of {len(self):,} fresh images has indices outside [0, 2**63)")


def address_list(
    generator: Source,
    seed: int | None,
    size: int | None,
    start: int,
    labels: LabelChoice | None,
    selection: SelectionSource | None,
    options: Mapping[str, Any],
) -> AddressList:
    """Open the generator if it is not open, check the arguments, and draw the first and the last image.

    Raises:
        RequestError: An argument is wrong, or two of them exclude each other.
        SelectionError: The selection cannot be read, or its images are of another generator.
        ServerError: The server cannot be used (remote generators only).
    """
    opened = open_source(generator, options)
    if selection is not None:
        if (seed, size, start, labels) != (None, None, 0, None):
            raise RequestError("selection names its seed, indices and labels: leave out seed, size, start and labels")
        addresses = _of_selection(opened, selection)
    else:
        addresses = _of_range(opened, seed, size, start, labels)
    # a wrong address is found here and not in a worker
    addresses.draw(np.array([0, len(addresses) - 1]))
    return addresses


def check_fresh(fresh_each_epoch: bool, selection: SelectionSource | None) -> None:
    """Raise ``RequestError`` for fresh addresses of a selection."""
    if fresh_each_epoch and selection is not None:
        raise RequestError("a selection names its images for good: leave out fresh_each_epoch, or the selection")


def open_source(generator: Source, options: Mapping[str, Any]) -> ImageGenerator:
    """Return an open generator as it is; open anything else with ``options``. Raises ``RequestError`` for options that nothing takes."""
    if isinstance(generator, str | os.PathLike | Sequence):
        return open_generator(generator, **options)
    if options:
        raise RequestError(f"{' and '.join(options)}: give it to drawwell.open, since this generator is open already")
    return generator


def _of_range(
    generator: ImageGenerator, seed: int | None, size: int | None, start: int, labels: LabelChoice | None
) -> AddressList:
    if seed is None or size is None:
        raise RequestError("give seed and size, or a selection")
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise RequestError(f"size must be an integer of at least 1, not {size!r}")
    checked_seed, indices = check_address(seed, size, start, None)
    return AddressList(generator, checked_seed, indices, check_labels(generator.card, labels, size))


def _of_selection(generator: ImageGenerator, source: SelectionSource) -> AddressList:
    selection = source if isinstance(source, Selection) else read_selection(Path(source))
    selection.check_generator(generator.digest, f"this generator ({generator.card.name})")
    labels = check_labels(generator.card, selection.labels, len(selection))
    return AddressList(generator, selection.seed, selection.indices, labels, selection.spread)
