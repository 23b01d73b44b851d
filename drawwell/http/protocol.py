"""What travels between client and server: the key, header names, and the npy reply with its checksum.

``application/x-npy`` is an npy file, version 1.0, of uint8 ``[N, H, W, C]``, followed by a footer of 40 bytes: 8 magic
bytes and the SHA-256 of the pixels. ``np.load`` of a buffer ignores what follows the array; the client checks it.
"""

import functools
import hashlib
import io
import math
import os

import numpy as np
import numpy.typing as npt

from drawwell.addresses.latents import CheckedIndices
from drawwell.errors import RequestError
from drawwell.generator import CheckedLabels

NPY_TYPE = "application/x-npy"
FOOTER_MAGIC = b"\x93DRAWSUM"
FOOTER_BYTES = len(FOOTER_MAGIC) + 32

DIGEST = "X-Drawwell-Digest"
SEED = "X-Drawwell-Seed"
START = "X-Drawwell-Start"
INDICES = "X-Drawwell-Indices"
COUNT = "X-Drawwell-Count"
TRUNCATION = "X-Drawwell-Truncation"
LATENTS = "X-Drawwell-Latents"
MEMBER = "X-Drawwell-Member"
LABELS = "X-Drawwell-Labels"
PROVIDER = "X-Drawwell-Provider"
FINGERPRINT = "X-Drawwell-Fingerprint"

ABOUT = (SEED, START, INDICES, COUNT, LABELS, TRUNCATION, LATENTS, MEMBER)
"""Those that say which images a reply holds."""


def authorization() -> dict[str, str]:
    """The header with the key in DRAWWELL_KEY, if any. A URL's ``user:password@`` goes before it. Raises ``RequestError``."""
    key = os.environ.get("DRAWWELL_KEY")
    try:
        return {} if key is None else {"Authorization": f"Bearer {check_key(key)}"}
    except ValueError as error:
        raise RequestError(f"DRAWWELL_KEY: {error}") from None


def check_key(key: str) -> str:
    """Return the key as it is. Raises ``ValueError`` for one that a header cannot carry."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key must be printable ASCII without spaces, and not empty")
    return key


@functools.lru_cache(64)
def npy_header(shape: tuple[int, ...]) -> bytes:
    """The bytes before the pixels of a uint8 array of this shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def footer(pixels_sha256: bytes) -> bytes:
    """The 40 bytes after the pixels."""
    return FOOTER_MAGIC + pixels_sha256


def npy_bytes(shape: tuple[int, ...]) -> int:
    """The length of a whole reply."""
    return len(npy_header(shape)) + math.prod(shape) + FOOTER_BYTES


def parse_npy(body: bytes | bytearray, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The pixels of a whole reply, read-only. Raises ``ValueError`` unless it is a uint8 array of ``shape`` with the right checksum.

    The header is compared and not parsed: there is one for each shape, and a parser can be overwhelmed.
    """
    header = npy_header(shape)
    if len(body) != npy_bytes(shape) or not body.startswith(header):
        raise ValueError(f"{len(body):,} bytes came that are no such array, asked for was uint8 {list(shape)}")
    pixels = memoryview(body).toreadonly()[len(header) : -FOOTER_BYTES]
    if body[-FOOTER_BYTES:] != footer(hashlib.sha256(pixels).digest()):
        raise ValueError("the pixels do not have the checksum that was sent with them")
    return np.frombuffer(pixels, np.uint8).reshape(shape)


def about(seed: int, indices: CheckedIndices, labels: CheckedLabels | None = None) -> dict[str, str]:
    """The headers that say which images a reply holds; the client compares them with what it asked for."""
    which = {START: str(indices.start)} if isinstance(indices, range) else {INDICES: sha256(indices)}
    about = {SEED: str(seed), COUNT: str(len(indices)), **which}
    return about if labels is None else about | about_labels(labels)


def about_labels(labels: CheckedLabels | None) -> dict[str, str]:
    """The header that says which labels were asked for; none for those of the addresses."""
    if labels is None:
        return {}
    return {LABELS: sha256(labels) if isinstance(labels, np.ndarray) else str(labels)}


def sha256(numbers: npt.NDArray[np.int64]) -> str:
    """Of indices or labels, as little-endian int64."""
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()
