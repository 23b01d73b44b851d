"""What one request wants drawn: images by address, or of latents that have none."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import CheckedIndices
from drawwell.engine.backends import Feeds, feeds_of
from drawwell.engine.engine import Engine
from drawwell.files.card import ModelCard
from drawwell.files.labels import CheckedLabels, labels_at, labels_of
from drawwell.formats.names import facts_of
from drawwell.http import protocol as wire


class Drawing(Protocol):
    """A request with nothing left open."""

    def __len__(self) -> int:
        """The number of images."""
        ...

    def feeds(self, engine: Engine, first: int, last: int) -> Feeds:
        """The generator's inputs for the images at positions ``first`` to ``last - 1``."""
        ...

    def labels_of(self, card: ModelCard, first: int, last: int) -> npt.NDArray[np.int64] | None:
        """The labels int64 of the same images; None for a generator without classes."""
        ...

    def about(self) -> dict[str, str]:
        """The headers that say which images these are."""
        ...


@dataclass(frozen=True)
class Addressed:
    """The images of ``indices`` of ``seed``, their latents times ``truncation``; ``labels`` in place of those of the addresses."""

    seed: int
    indices: CheckedIndices
    truncation: float = 1.0
    labels: CheckedLabels | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def feeds(self, engine: Engine, first: int, last: int) -> Feeds:
        feeds = engine.feeds(self.seed, self.indices[first:last], labels_at(self.labels, first, last))
        return feeds | {"z": feeds["z"] * np.float32(self.truncation)}

    def labels_of(self, card: ModelCard, first: int, last: int) -> npt.NDArray[np.int64] | None:
        return labels_of(card, self.seed, self.indices[first:last], labels_at(self.labels, first, last))

    def about(self) -> dict[str, str]:
        return wire.about(self.seed, self.indices, self.labels) | _about_truncation(self.truncation)

    def facts(self, engine: Engine) -> dict[str, object]:
        """What the record of an archive says of these images."""
        return facts_of(engine.digest, self.seed, self.indices, self.labels)


@dataclass(frozen=True)
class Given:
    """The images of latents, float32 ``[N, D]``, that were sent in or lie between two addresses; times ``truncation``.

    A generator with classes needs ``labels``: there is no address to take them from. Of a mixture ``member`` draws them all;
    it is None for a file of one generator.
    """

    z: npt.NDArray[np.float32]
    truncation: float = 1.0
    labels: CheckedLabels | None = None
    member: int | None = None

    def __len__(self) -> int:
        return len(self.z)

    def feeds(self, engine: Engine, first: int, last: int) -> Feeds:
        z = self.z[first:last] * np.float32(self.truncation)
        member = None if self.member is None else np.full(last - first, self.member, np.int64)
        return feeds_of(z, self.labels_of(engine.card, first, last), member)

    def labels_of(self, card: ModelCard, first: int, last: int) -> npt.NDArray[np.int64] | None:  # noqa: ARG002 - they were checked
        labels = labels_at(self.labels, first, last)
        return None if labels is None else np.full(last - first, labels, np.int64)

    def about(self) -> dict[str, str]:
        latents = hashlib.sha256(self.z.astype("<f4").tobytes()).hexdigest()
        about = {wire.COUNT: str(len(self.z)), wire.LATENTS: latents} | wire.about_labels(self.labels)
        about |= {} if self.member is None else {wire.MEMBER: str(self.member)}
        return about | _about_truncation(self.truncation)


def _about_truncation(truncation: float) -> dict[str, str]:
    return {} if truncation == 1 else {wire.TRUNCATION: repr(truncation)}
