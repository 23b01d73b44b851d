"""What the client sends for images, and how it reads them from the reply."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from drawwell.files.card import ModelCard
from drawwell.formats.npy import NPY_TYPE, Npy
from drawwell.generator import Images
from drawwell.http import protocol
from drawwell.http.generate_body import body_of, most_latents
from drawwell.http.transport import Message
from drawwell.image_request import ImageRequest
from drawwell.pieces import slices

REQUEST_IMAGES = 4096
"""The most images in one request: a connection that breaks costs at most these, and a request is under 65,536 indices."""
_MAX_REPLY_BYTES = 2**28
"""Of a reply with more than one image, which is held in memory: 4,096 images of 128 px are less."""


@dataclass(frozen=True, eq=False)
class Exchange:
    """One ``POST /generate`` for the images of ``request``, and its reply. ``card`` is of the generator."""

    request: ImageRequest
    card: ModelCard

    def __len__(self) -> int:
        return len(self.request)

    def pieces(self, max_count: int) -> Iterator["Exchange"]:
        """Yield exchanges of at most ``max_count`` images, of bounded bodies and replies, that are this one together."""
        most = REQUEST_IMAGES if self.request.latents is None else most_latents(self.card.latent_dim)
        size = min(most, max_count, max(1, _MAX_REPLY_BYTES // math.prod(self.card.image_shape)))
        for places in slices(len(self.request), size):
            yield replace(self, request=self.request.part(places))

    def message(self) -> Message:
        """Return what is sent."""
        npy = Npy(self._shape)
        # one byte more shows a reply that goes on
        return Message("POST", "generate", NPY_TYPE, npy.length + 1, body_of(self.request), npy.header)

    def about(self) -> dict[str, str]:
        """Return the headers that the right reply has."""
        return protocol.about(self.request)

    def images(self, body: bytearray) -> Images:
        """Return the images of a reply, uint8 ``[N, H, W, C]``. Raises ``ValueError`` for other bytes."""
        return Npy.decode(body, self._shape)

    @property
    def _shape(self) -> tuple[int, ...]:
        return (len(self.request), *self.card.image_shape)
