"""The images of one request: by address, or of latents that have no address."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import CheckedIndices
from drawwell.addresses.scale import Scale
from drawwell.engine.backends import Feeds, feeds_of
from drawwell.engine.engine import Engine
from drawwell.files.card import ModelCard
from drawwell.files.labels import CheckedLabels, labels_at, labels_of
from drawwell.formats.names import facts_of
from drawwell.http import protocol as wire


class ImageRequest(Protocol):
    """A checked request: the seed is chosen, and every field is valid for the generator."""

    def __len__(self) -> int:
        """The number of images."""
        ...

    def feeds(self, engine: Engine, first: int, last: int) -> Feeds:
        """The generator's inputs for the images at positions ``first`` to ``last - 1``."""
        ...

    def labels_of(self, card: ModelCard, first: int, last: int) -> npt.NDArray[np.int64] | None:
        """The labels int64 of the same images; None for a generator without classes."""
        ...

    def headers(self) -> dict[str, str]:
        """The headers of the reply that name the images."""
        ...


@dataclass(frozen=True)
class AddressRequest:
    """The images at ``indices`` of ``seed``.

    ``scale`` multiplies the latents. ``labels``, one for all images or one for each, replace the labels of the addresses.
    """

    seed: int
    indices: CheckedIndices
    scale: Scale = field(default_factory=Scale)
    labels: CheckedLabels | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def feeds(self, engine: Engine, first: int, last: int) -> Feeds:
        feeds = engine.feeds(self.seed, self.indices[first:last], labels_at(self.labels, first, last))
        return feeds | {"z": self.scale(feeds["z"])}

    def labels_of(self, card: ModelCard, first: int, last: int) -> npt.NDArray[np.int64] | None:
        return labels_of(card, self.seed, self.indices[first:last], labels_at(self.labels, first, last))

    def headers(self) -> dict[str, str]:
        return wire.about(self.seed, self.indices, self.labels) | wire.about_scale(self.scale)

    def facts(self, engine: Engine) -> dict[str, object]:
        """The facts that an archive's record holds about these images."""
        return facts_of(engine.digest, self.seed, self.indices, self.labels)


@dataclass(frozen=True)
class LatentRequest:
    """The images of the latents ``z``, float32 ``[N, D]``, which the client sent or interpolated between two addresses.

    ``scale`` multiplies the latents. A generator with classes needs ``labels``, since there is no address that has one.
    In a mixture the generator number ``member`` draws all images; for a single generator it is None.
    """

    z: npt.NDArray[np.float32]
    scale: Scale = field(default_factory=Scale)
    labels: CheckedLabels | None = None
    member: int | None = None

    def __len__(self) -> int:
        return len(self.z)

    def feeds(self, engine: Engine, first: int, last: int) -> Feeds:
        z = self.scale(self.z[first:last])
        member = None if self.member is None else np.full(last - first, self.member, np.int64)
        return feeds_of(z, self.labels_of(engine.card, first, last), member)

    def labels_of(self, card: ModelCard, first: int, last: int) -> npt.NDArray[np.int64] | None:  # noqa: ARG002 - the labels were checked
        labels = labels_at(self.labels, first, last)
        return None if labels is None else np.full(last - first, labels, np.int64)

    def headers(self) -> dict[str, str]:
        return wire.about_latents(self.z, self.labels, self.member) | wire.about_scale(self.scale)
