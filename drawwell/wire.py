"""What travels between client and server: header names, and the npy reply with its checksum.

``application/x-npy`` is an npy file, version 1.0, of uint8 ``[N, H, W, C]``, followed by a footer of 40 bytes: 8 magic
bytes and the SHA-256 of the pixels. ``np.load`` of a buffer ignores what follows the array; the client checks it.
"""

import hashlib
import io

import numpy as np
import numpy.typing as npt

NPY_TYPE = "application/x-npy"
FOOTER_MAGIC = b"\x93DRAWSUM"
FOOTER_BYTES = len(FOOTER_MAGIC) + 32

DIGEST = "X-Drawwell-Digest"
SEED = "X-Drawwell-Seed"
START = "X-Drawwell-Start"
COUNT = "X-Drawwell-Count"
PROVIDER = "X-Drawwell-Provider"
FINGERPRINT = "X-Drawwell-Fingerprint"


def npy_header(shape: tuple[int, ...]) -> bytes:
    """The bytes before the pixels of a uint8 array of this shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def footer(pixels_sha256: bytes) -> bytes:
    """The 40 bytes after the pixels."""
    return FOOTER_MAGIC + pixels_sha256


def parse_npy(body: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The pixels of a whole reply, read-only. Raises ``ValueError`` unless it is a uint8 array of ``shape`` with the right checksum."""
    header = npy_header(shape)
    pixels = memoryview(body)[len(header) : -FOOTER_BYTES]
    if not body.startswith(header) or len(pixels) != np.prod(shape):
        raise ValueError(f"{len(body):,} bytes came that are no npy array of uint8 {list(shape)} with a checksum")
    if body[-FOOTER_BYTES:] != footer(hashlib.sha256(pixels).digest()):
        raise ValueError("the pixels do not have the checksum that was sent with them")
    return np.frombuffer(pixels, np.uint8).reshape(shape)
