"""Pictures of any size and kind, fitted to the shape of a network as training fits them."""

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import IcoImagePlugin, Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from drawwell.errors import PictureError
from drawwell.formats.picture_work import check_work
from drawwell.text import printable

_PILLOW_FORMATS = (
    *("PNG", "JPEG", "WEBP", "BMP", "GIF", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI", "PCX", "SGI", "SUN"),
    *("DDS", "PSD", "XBM"),
)
"""Formats that are read. Pillow also knows EPS, which runs a program, formats for video, science and metafiles, and the icons of
macOS, which do not say how large the picture inside is.
"""
_ICON, _ICON_BEGINNING, _ICON_SIDE = "ICO", b"\0\0\1\0", 256
"""Icons of Windows. Their picture is opened itself, since Pillow decodes it when it opens the icon. Bitmaps in them are at most 256 px."""
_PNG_BEGINNING, _HEADER_BYTES = b"\x89PNG\r\n\x1a\n", 2**12
_BY_NAME_ONLY = ("TGA",)
"""Formats without a signature: any damaged picture might be read as one, so the ending of the name must say it."""
_MPO = "MPO"
"""Several JPEGs in one file, which Pillow opens as a JPEG."""

SUFFIXES = {
    suffix: name
    for suffix, name in Image.registered_extensions().items()
    if name in (*_PILLOW_FORMATS, _ICON, *_BY_NAME_ONLY, _MPO)
}
"""Format by ending of the name."""
AVAILABLE_FORMATS = (*(name for name in _PILLOW_FORMATS if name in Image.OPEN), _ICON)
"""Formats that this Pillow was built with; they are known by content."""

BYTES_A_PIXEL = 16
"""Memory to decode a picture and lay it on white: four copies of four bytes. Without transparency it is half."""

MAX_PIXELS = 2**24
"""The most pixels of one picture that ``decode`` holds, a quarter of a gigabyte. A large JPEG is decoded scaled down."""

Shape = tuple[int, int, int]
"""Height, width, channels."""


_decoding = threading.Lock()
"""Pillow's limits are of the whole process, and one picture at a time bounds the memory."""


def decode(content: bytes, shape: Shape, formats: tuple[str, ...] = AVAILABLE_FORMATS) -> npt.NDArray[np.uint8]:
    """Decode one picture and fit it to ``shape``: uint8 ``[H, W, C]``.

    Raises ``PictureError`` with a clause that says why it cannot be decoded.
    """
    check_work(content)
    with _decoding, limited(None):
        try:
            with opened(io.BytesIO(content), formats) as picture:
                check_levels(picture)
                if (pixels := draft(picture, shape)) > MAX_PIXELS:
                    raise PictureError(_too_many(pixels))
                ImageOps.exif_transpose(picture, in_place=True)
                return fit(picture, shape)
        except PictureError:
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise PictureError(_too_many(None)) from None
        except UnidentifiedImageError:
            raise PictureError(f"is no picture in one of the formats {', '.join(formats)}") from None
        except Exception as error:  # a decoder raises anything on a bad file, for example struct.error
            raise PictureError(f"cannot be decoded ({printable(error, 200)})") from error


def _too_many(pixels: int | None) -> str:
    """The clause about a picture of so many pixels, or of more than Pillow opens."""
    size = "too many pixels" if pixels is None else f"{pixels / 1e6:,.1f} megapixels"
    return f"has {size}; at most {MAX_PIXELS / 1e6:,.1f} megapixels are decoded: make it smaller"


def fit(picture: Image.Image, shape: Shape) -> npt.NDArray[np.uint8]:
    """Resize the shorter side to ``shape`` and crop the centre: uint8 ``[H, W, C]``. Transparency becomes white."""
    height, width, channels = shape
    if picture.mode.startswith("I;16"):  # Pillow would clip 16 bits at 255 instead of scaling them
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), _in_mode("RGBA", picture))
    picture = _in_mode("L" if channels == 1 else "RGB", picture)
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)).reshape(shape)


def fit_all(images: npt.NDArray[np.uint8], shape: Shape) -> npt.NDArray[np.uint8]:
    """Fit images, uint8 ``[N, h, w, c]`` with 1, 3 or 4 channels, as ``fit`` does: uint8 ``[N, H, W, C]``."""
    if images.shape[1:] == shape:
        return images
    fitted = np.empty((len(images), *shape), np.uint8)
    for place, image in enumerate(images):
        fitted[place] = fit(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), shape)
    return fitted


def _in_mode(mode: str, picture: Image.Image) -> Image.Image:
    """Convert if necessary: Pillow copies a picture that is in the mode already."""
    return picture if picture.mode == mode else picture.convert(mode)


@contextmanager
def limited(max_pixels: int | None) -> Iterator[None]:
    """Refuse every picture above the limit. By itself Pillow warns, and refuses only pictures twice as large."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels or before
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities in a picture that can be read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@contextmanager
def opened(stream: IO[bytes], formats: tuple[str, ...], path: Path | None = None) -> Iterator[Image.Image]:
    """The picture in a stream, or in the file at ``path`` that the stream reads, with no pixel decoded yet."""
    if _ICON in formats and stream.read(len(_ICON_BEGINNING)) == _ICON_BEGINNING:
        yield _inside_icon(stream)
        return
    stream.seek(0)
    plain = [name for name in formats if name != _ICON]
    with Image.open(stream if path is None else path, formats=plain) as picture:
        yield picture


def _inside_icon(stream: IO[bytes]) -> Image.Image:
    """The largest picture of an icon. Raises ``ValueError`` for a large bitmap, which Pillow would decode at once whatever size the
    directory of the icon gives.
    """
    stream.seek(0)
    try:
        icon = IcoImagePlugin.IcoFile(stream)
        stream.seek(icon.entry[0].offset)
        _check_bitmap(stream.read(_HEADER_BYTES))
        return icon.frame(0)
    except (IndexError, SyntaxError, struct.error) as error:
        raise UnidentifiedImageError from error


def _check_bitmap(start: bytes) -> None:
    """Check the size of a bitmap in an icon. A PNG is decoded later and checked as any other."""
    if start.startswith(_PNG_BEGINNING):
        return
    with Image.open(io.BytesIO(start), formats=["DIB"]) as bitmap:
        height = bitmap.height // 2  # the other half is its mask
        if max(bitmap.width, height) > _ICON_SIDE:
            raise ValueError(f"an icon's bitmap of {bitmap.width}x{height} is larger than {_ICON_SIDE}x{_ICON_SIDE}")


def draft(picture: Image.Image, shape: Shape) -> int:
    """Let a large JPEG be decoded scaled down. Returns the pixels that decoding holds: all of them if the file has several scans."""
    pixels, at_once = picture.width * picture.height, _in_one_scan(picture)
    picture.draft("RGB" if shape[2] == 3 else "L", (2 * shape[1], 2 * shape[0]))
    return picture.width * picture.height if at_once else pixels


def _in_one_scan(picture: Image.Image) -> bool:
    """Whether the first scan of a JPEG holds all colours. If not, the decoder keeps all coefficients until the last scan."""
    if not isinstance(picture, JpegImageFile) or picture.info.get("progressive") or picture.fp is None:
        return False
    place, length = picture.fp.tell(), 6 + 2 * picture.layers  # of the scan's header, which was just read
    if place < length:  # a file of several JPEGs, which was wound back
        return False
    picture.fp.seek(place - length)
    header = picture.fp.read(3)
    picture.fp.seek(place)
    return header == length.to_bytes(2, "big") + bytes([picture.layers])


def formats_of(name: str) -> tuple[str, ...]:
    """The formats that a file of this name may have."""
    by_name = SUFFIXES.get(Path(name).suffix.lower())
    return (*AVAILABLE_FORMATS, by_name) if by_name in _BY_NAME_ONLY else AVAILABLE_FORMATS


def check_levels(picture: Image.Image) -> None:
    """Raise ``ValueError`` if the range of the levels is unknown."""
    if picture.mode == "F" or (picture.mode == "I" and picture.format != "PNG"):
        raise ValueError("pixels of 32 bits have no known range: convert the picture to 8 or 16 bits")
