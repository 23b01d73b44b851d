"""npy files of images with a checksum, as `drawwell generate` and the server write them and the client reads them.

A file is npy, version 1.0, of uint8 ``[N, H, W, C]``, and after the pixels a footer of 40 bytes: 8 magic bytes and the
SHA-256 of the pixels. ``np.load`` ignores the bytes after the array.
"""

import functools
import hashlib
import io
import math

import numpy as np

from drawwell.generator import Images

NPY_TYPE = "application/x-npy"
FOOTER_MAGIC = b"\x93DRAWSUM"
FOOTER_BYTES = len(FOOTER_MAGIC) + 32


class Npy:
    """One npy file while it is made: ``header``, then each ``append`` in order, then ``end``."""

    def __init__(self, shape: tuple[int, ...], has_footer: bool = True) -> None:
        """``shape`` is ``[N, H, W, C]``. A client may ask for the plain npy file, without the footer."""
        self.header, self._has_footer, self._pixels_sha256 = _header(shape), has_footer, hashlib.sha256()
        self.length = len(self.header) + math.prod(shape) + (FOOTER_BYTES if has_footer else 0)
        """Bytes of the whole file."""

    def append(self, pixels: bytes) -> bytes:
        """Return the next pixels as they stand in the file."""
        if self._has_footer:
            self._pixels_sha256.update(pixels)
        return pixels

    def end(self) -> bytes:
        """Return the footer, or nothing if the file has none."""
        return FOOTER_MAGIC + self._pixels_sha256.digest() if self._has_footer else b""

    @classmethod
    def encode(cls, images: Images, has_footer: bool = True) -> bytes:
        """Return a whole file."""
        npy = cls(images.shape, has_footer)
        return b"".join((npy.header, npy.append(images.tobytes()), npy.end()))

    @classmethod
    def decode(cls, body: bytes | bytearray, shape: tuple[int, ...]) -> Images:
        """Return the pixels of a whole file with a footer, read-only.

        The header is compared and not parsed: every shape has one header, and a parser can be overwhelmed.
        Raises ``ValueError`` unless the file is a uint8 array of ``shape`` with the right checksum.
        """
        npy = cls(shape)
        if len(body) != npy.length or not body.startswith(npy.header):
            raise ValueError(
                f"received {len(body):,} bytes that are not the array that was requested, uint8 {list(shape)}"
            )
        pixels = memoryview(body).toreadonly()[len(npy.header) : -FOOTER_BYTES]
        if body[-FOOTER_BYTES:] != FOOTER_MAGIC + hashlib.sha256(pixels).digest():
            raise ValueError("the pixels do not have the checksum that was sent with them")
        return np.frombuffer(pixels, np.uint8).reshape(shape)


@functools.lru_cache(64)
def _header(shape: tuple[int, ...]) -> bytes:
    """The bytes before the pixels."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()
