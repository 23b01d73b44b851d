"""Decoding of the pictures that clients send: one at a time, so that a picture that unpacks to gigabytes takes bounded memory."""

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from drawwell.generator import Images
from drawwell.install import needed_for
from drawwell_serve.errors import RETRY_SECONDS, ApiError

_ALL_BYTES = 64 * 2**20
"""The limit on the bodies of a worker that wait to be decoded."""

Shape = tuple[int, int, int]


class Picture(Protocol):
    """A picture that a client sent, or several images of an array."""

    def fit(self, shape: Shape) -> Images:
        """Decode and fit it to ``shape``, ``(H, W, C)``: uint8 ``[n, H, W, C]``. Raises ``PictureError``."""
        ...


class Decoding:
    """Fits pictures of any size to ``shape``, ``(H, W, C)``. The pictures of several requests take turns."""

    def __init__(self, shape: Shape) -> None:
        with needed_for("judging pictures", "cpu"):
            from drawwell.formats import pictures  # noqa: F401 - now, while there are descriptors to load it

        self._shape, self._bytes = shape, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decode")

    @contextlib.contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """Count a body of so many bytes while it waits and is decoded. Raises ``ApiError`` 429 if too many bytes wait."""
        if self._bytes and self._bytes + count > _ALL_BYTES:
            message = "too many pictures wait to be decoded: send the request again later"
            raise ApiError(429, "too_many_images", message, headers={"Retry-After": str(RETRY_SECONDS)})
        self._bytes += count
        try:
            yield
        finally:
            self._bytes -= count

    async def fit(self, picture: Picture) -> Images:
        """Fit a picture when it is its turn: uint8 ``[n, H, W, C]``. Raises ``PictureError``."""
        return await asyncio.wrap_future(self._thread.submit(picture.fit, self._shape))

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)
