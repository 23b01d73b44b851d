"""The body of ``POST /judge``: one picture, several as ``multipart/form-data`` (RFC 7578), or an npy array."""

import io
import math
import re
from dataclasses import dataclass

import numpy as np

from drawwell.errors import PictureError
from drawwell.formats.npy import NPY_TYPE
from drawwell.generator import Images
from drawwell.pieces import slices
from drawwell.text import printable
from drawwell_serve.drawing.decoding import Shape
from drawwell_serve.errors import ApiError

MAX_BODY_BYTES = 16 * 2**20
"""A photograph of a telephone has about 4 MiB."""
MAX_PICTURES = 256
"""In one multipart body."""
MAX_ARRAY = 4096
"""Images in one npy array."""

FORMATS = ("PNG", "JPEG", "WEBP")
"""The formats of the pictures, as Pillow calls them."""
PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp")
MULTIPART = "multipart/form-data"
MEDIA_TYPES = (*PICTURE_TYPES, MULTIPART, NPY_TYPE)

_BOUNDARY = re.compile(r'boundary="?([0-9A-Za-z\'()+_,./:=? -]{1,70})"?\s*(?:;|$)', re.IGNORECASE)
_FILE_NAME = re.compile(rb'filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_MAX_HEADER_BYTES = 4096
_MAX_NPY_HEADER = 1000


@dataclass(frozen=True)
class EncodedPicture:
    """A picture that is not decoded yet. ``name`` is the name of its file, empty for a picture that is the whole body."""

    name: str
    content: bytes

    def __len__(self) -> int:
        return 1

    def fit(self, shape: Shape) -> Images:
        """As ``Picture.fit``."""
        from drawwell.formats import pictures  # imports Pillow, which a server without a discriminator may lack

        try:
            return pictures.decode(self.content, shape, FORMATS)[None]
        except PictureError as error:
            name = f"the picture {printable(self.name, 80)!r}" if self.name else "the picture"
            raise PictureError(f"{name} {error}") from error.__cause__


@dataclass(frozen=True)
class ArrayPictures:
    """Images of an array, uint8 ``[n, h, w, c]``."""

    images: Images

    def __len__(self) -> int:
        return len(self.images)

    def fit(self, shape: Shape) -> Images:
        """As ``Picture.fit``."""
        from drawwell.formats import pictures

        return pictures.fit_all(self.images, shape)


def split_multipart(body: bytes, content_type: str) -> list[EncodedPicture]:
    """Return the files of a multipart body. Raises ``ApiError`` 400 if it is malformed, 422 if it holds anything but files."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _malformed("Content-Type names no boundary")
    delimiter = b"\r\n--" + found[1].strip().encode()
    whole = b"\r\n" + body
    if whole.count(delimiter) > MAX_PICTURES + 1:  # before they are cut apart
        raise ApiError(
            422, "invalid_field", f"one request holds at most {MAX_PICTURES} pictures: send several requests"
        )
    _, *parts = whole.split(delimiter)
    if not parts or not parts[-1].startswith(b"--"):
        raise _malformed("its last boundary is missing")
    if len(parts) == 1:
        raise ApiError(422, "invalid_field", "the body holds no picture: send files, as in curl -F picture=@cat.png")
    return [_file(part) for part in parts[:-1]]


def _file(part: bytes) -> EncodedPicture:
    head, blank, content = part.partition(b"\r\n\r\n")
    if not blank or len(head) > _MAX_HEADER_BYTES:
        raise _malformed("a part has no headers, or too long ones")
    name = _FILE_NAME.search(head)
    if name is None:
        message = "a part of the body is no file: send every picture as a file, as in curl -F picture=@cat.png"
        raise ApiError(422, "invalid_field", message)
    return EncodedPicture(re.sub(r"\\(.)", r"\1", name[1].decode(errors="replace")), content)


def _malformed(why: str) -> ApiError:
    return ApiError(400, "malformed_multipart", f"the body is no valid multipart/form-data: {why}")


def read_array(body: bytes, piece: int) -> list[ArrayPictures]:
    """Return the images of an npy file, uint8 ``[N, H, W, C]``, at most ``piece`` together; bytes after the array are ignored.

    Raises ``ApiError`` 422 for any other array.
    """
    stream = io.BytesIO(body)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("it is not of version 1.0")
        found, in_columns, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=_MAX_NPY_HEADER)
    except Exception as error:  # numpy raises anything on a bad header, for example SyntaxError
        raise ApiError(422, "invalid_picture", f"the body is no npy file ({printable(error, 100)})") from None
    if dtype != np.uint8 or in_columns or len(found) != 4 or found[3] not in (1, 3, 4) or 0 in found[1:]:
        message = f"the array must be uint8 [N, H, W, C] in C order with 1, 3 or 4 channels, not {dtype} {list(found)}"
        raise ApiError(422, "invalid_picture", printable(message))
    if not 1 <= found[0] <= MAX_ARRAY:
        raise ApiError(422, "invalid_picture", f"an array holds 1 to {MAX_ARRAY:,} images, not {found[0]}")
    size = math.prod(found)  # of Python's integers, which do not overflow
    if len(body) - stream.tell() < size:
        raise ApiError(422, "invalid_picture", "the array is cut off: it has fewer pixels than its header says")
    images = np.frombuffer(body, np.uint8, size, stream.tell()).reshape(found)
    return [ArrayPictures(images[places]) for places in slices(len(images), piece)]
