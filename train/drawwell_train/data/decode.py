"""Decoding pictures into an array, resized and cropped. Unreadable ones are named and skipped."""

import ctypes
import io
import re
import struct
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import IcoImagePlugin, Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from drawwell.engine.cores import cores
from drawwell_train.data import memory
from drawwell_train.distributed import local_world_size

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
_AVAILABLE_FORMATS = tuple(name for name in _PILLOW_FORMATS if name in Image.OPEN)
"""Formats that this Pillow was built with; they are known by content."""

_BYTES_A_PIXEL = 16
"""Memory to decode a picture and lay it on white: four copies of four bytes. Without transparency it is half."""
_PIXELS_AT_ONCE = 2**26
"""Pixels that all threads decode at once: 1 GB at most."""
_SHARE_AT_ONCE = 0.25
"""Share of the free memory for decoding."""
_LARGE_PIXELS = 2**22

Shape = tuple[int, int, int]
"""Height, width, channels."""


class Readable(Protocol):
    """A file in a folder or in an archive."""

    @property
    def name(self) -> str: ...

    def is_file(self) -> bool: ...

    def open(self, mode: Literal["rb"], /) -> IO[bytes]: ...


def decode_all(
    files: Sequence[Readable], shape: Shape, max_pixels: int | None = None
) -> tuple[npt.NDArray[np.uint8], list[int], list[str]]:
    """Decode pictures.

    Args:
        files: the pictures.
        shape: height, width and channels of the result.
        max_pixels: size of the largest picture that is read. None: Pillow's own limit.

    Returns:
        Images uint8 ``[N, H, W, C]``, the positions of their files in ``files``, and a sentence for each unreadable picture.
    """
    images = np.empty((len(files), *shape), np.uint8)
    kept: list[int] = []
    skipped: list[str] = []
    room = _Room(_pixels_at_once(images.nbytes))
    with ThreadPoolExecutor(max(1, cores() // local_world_size())) as pool, _limit(max_pixels):
        for position, decoded in enumerate(pool.map(lambda file: _decode(file, shape, room), files)):
            if isinstance(decoded, str):
                skipped.append(decoded)
            else:
                images[len(kept)] = decoded
                kept.append(position)
    return images[: len(kept)], kept, skipped


def fit(picture: Image.Image, shape: Shape) -> npt.NDArray[np.uint8]:
    """Resize the shorter side to ``shape`` and crop the centre: uint8 ``[H, W, C]``. Transparency becomes white."""
    height, width, channels = shape
    if picture.mode.startswith("I;16"):  # Pillow would clip 16 bits at 255 instead of scaling them
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), _in_mode("RGBA", picture))
    picture = _in_mode("L" if channels == 1 else "RGB", picture)
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)).reshape(shape)


def _in_mode(mode: str, picture: Image.Image) -> Image.Image:
    """Convert if necessary: Pillow copies a picture that is in the mode already."""
    return picture if picture.mode == mode else picture.convert(mode)


class _Room:
    """Limits the pixels that all threads decode at once. A picture above the limit waits until it is alone."""

    def __init__(self, most: int) -> None:
        self._most = self._free = max(1, most)
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        taken = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            if pixels > _LARGE_PIXELS:
                _give_back()
            with self._changed:
                self._free += taken
                self._changed.notify_all()


def _give_back() -> None:
    """Return freed memory to the system: the C library of Linux keeps some for each thread, which adds up."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _pixels_at_once(array_bytes: int) -> int:
    share = _SHARE_AT_ONCE * max(0, memory.free() - array_bytes)
    return min(_PIXELS_AT_ONCE, int(share / _BYTES_A_PIXEL))


@contextmanager
def _limit(max_pixels: int | None) -> Iterator[None]:
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


def _decode(file: Readable, shape: Shape, room: _Room) -> npt.NDArray[np.uint8] | str:
    try:
        if not file.is_file():  # to open a pipe would wait for ever
            return f"{str(file)!r}: is not a file, or is a broken link"
        with _opened(file) as picture:
            pixels = _drafted(picture, shape)
            _check(picture, pixels)
            with room.taken(pixels):
                ImageOps.exif_transpose(picture, in_place=True)
                fitted = fit(picture, shape)
                picture.close()  # frees its memory before another picture starts
                return fitted
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        return f"{str(file)!r}: {_too_large(error)}"
    except UnidentifiedImageError:
        return f"{str(file)!r}: is not a picture that can be decoded"
    # a decoder raises anything on a bad file, for example struct.error; the sentence is shown
    except Exception as error:
        return f"{str(file)!r}: {error}"


def _too_large(error: Exception) -> str:
    """Pillow's sentence, and the option that reads the picture."""
    found = re.search(r"\((\d+) pixels\)", str(error))
    return f"{error} Add --max-megapixels {-(-int(found[1]) // 10**6) if found else 'N'} to read it"


@contextmanager
def _opened(file: Readable) -> Iterator[Image.Image]:
    """The picture in a file, with no pixel decoded yet."""
    with _seekable(file) as stream:
        if stream.read(len(_ICON_BEGINNING)) == _ICON_BEGINNING:
            yield _inside_icon(stream)
            return
        stream.seek(0)
        with Image.open(file if isinstance(file, Path) else stream, formats=_formats(file.name)) as picture:
            yield picture


def _seekable(file: Readable) -> IO[bytes]:
    stream = file.open("rb")
    if isinstance(file, Path):
        return stream
    with stream:
        return io.BytesIO(stream.read())  # each seek in an archive would unpack the member again


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


def _drafted(picture: Image.Image, shape: Shape) -> int:
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


def _formats(name: str) -> tuple[str, ...]:
    by_name = SUFFIXES.get(Path(name).suffix.lower())
    return (*_AVAILABLE_FORMATS, by_name) if by_name in _BY_NAME_ONLY else _AVAILABLE_FORMATS


def _check(picture: Image.Image, pixels: int) -> None:
    """Raise ``ValueError`` if the range of the levels is unknown, or if memory cannot hold the pixels."""
    if picture.mode == "F" or (picture.mode == "I" and picture.format != "PNG"):
        raise ValueError("pixels of 32 bits have no known range: convert the picture to 8 or 16 bits")
    if pixels > _LARGE_PIXELS and (needed := pixels * _BYTES_A_PIXEL) > (free := memory.free()):
        raise ValueError(
            f"{pixels / 1e6:,.0f} megapixels take {needed / 2**20:,.0f} MiB to decode; {free / 2**20:,.0f} MiB are free"
        )
