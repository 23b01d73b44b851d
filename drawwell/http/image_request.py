"""What the client sends for images, and how it reads them from the reply."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from drawwell.addresses.arguments import CheckedIndices
from drawwell.files.labels import CheckedLabels, labels_at
from drawwell.formats.npy import NPY_TYPE, Npy
from drawwell.generator import Images
from drawwell.http import protocol
from drawwell.http.transport import Message
from drawwell.pieces import slices

REQUEST_IMAGES = 4096
"""The most images in one request: a connection that breaks costs at most these, and a request is under 65,536 indices."""
_MAX_REPLY_BYTES = 2**28
"""Of a reply with more than one image, which is held in memory: 4,096 images of 128 px are less."""


@dataclass(frozen=True, eq=False)
class ImageRequest:
    """Images of one seed. ``image_shape`` is ``(H, W, C)``."""

    seed: int
    indices: CheckedIndices
    labels: CheckedLabels | None
    image_shape: tuple[int, ...]

    def pieces(self, max_count: int) -> Iterator["ImageRequest"]:
        """Yield the requests of at most ``max_count`` images, and of a bounded reply, that are this one together."""
        size = min(REQUEST_IMAGES, max_count, max(1, _MAX_REPLY_BYTES // math.prod(self.image_shape)))
        for piece in slices(len(self.indices), size):
            labels = labels_at(self.labels, piece.start, piece.stop)
            yield replace(self, indices=self.indices[piece], labels=labels)

    def message(self) -> Message:
        """Return what is sent."""
        npy = Npy(self._shape)
        # one byte more shows a reply that goes on
        return Message("POST", "generate", NPY_TYPE, npy.length + 1, self._body(), npy.header)

    def about(self) -> dict[str, str]:
        """Return the headers that the right reply has."""
        return protocol.about(self.seed, self.indices, self.labels)

    def images(self, body: bytearray) -> Images:
        """Return the images of a reply, uint8 ``[N, H, W, C]``. Raises ``ValueError`` for other bytes."""
        return Npy.decode(body, self._shape)

    @property
    def _shape(self) -> tuple[int, ...]:
        return (len(self.indices), *self.image_shape)

    def _body(self) -> bytes:
        which: dict[str, Any] = (
            {"start": self.indices.start, "count": len(self.indices)}
            if isinstance(self.indices, range)
            else {"indices": self.indices.tolist()}
        )
        if self.labels is not None:
            which["labels"] = self.labels.tolist() if isinstance(self.labels, np.ndarray) else self.labels
        return msgspec.json.encode({"seed": self.seed, **which})
