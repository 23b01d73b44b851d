"""Pictures as an array: decoded, resized and cropped; bad ones named, not fatal."""

import ctypes
import io
import re
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
from PIL import Image, ImageOps, UnidentifiedImageError

from drawwell.cores import cores
from drawwell_train import memory
from drawwell_train.processes import on_this_machine

_PICTURES = (
    *("PNG", "JPEG", "WEBP", "BMP", "GIF", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI", "PCX", "SGI", "SUN"),
    *("DDS", "PSD", "ICO", "ICNS", "XBM"),
)
"""Of Pillow's other formats, EPS runs a program, and those for video, science and metafiles hold no pictures."""
_BY_NAME_ONLY = ("TGA",)
"""Nothing in such a file tells that it is one, so that any damaged picture might be read as one."""
_MPO = "MPO"
"""Several JPEGs in one file, which Pillow reads as a JPEG."""

SUFFIXES = {
    suffix: name for suffix, name in Image.registered_extensions().items() if name in (*_PICTURES, *_BY_NAME_ONLY, _MPO)
}
"""Endings of pictures, and their formats."""
_FORMATS = tuple(name for name in _PICTURES if name in Image.OPEN)
"""Those that this Pillow was built with, whatever a file's name says."""

_BYTES_A_PIXEL = 16
"""Of a picture that is decoded and laid on white: four times four bytes. One without transparency takes half as many."""
_PIXELS_AT_ONCE = 2**26
"""Over all threads: 1 GB at the most."""
_SHARE_AT_ONCE = 0.25
"""Of the free memory."""
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
    """Decode ``files`` to uint8 ``[N, H, W, C]``; also the positions of those kept and a sentence for each bad one.

    A picture of more than ``max_pixels`` is a bad one. By default that is Pillow's own limit.
    """
    images = np.empty((len(files), *shape), np.uint8)
    kept: list[int] = []
    skipped: list[str] = []
    room = _Room(_pixels_at_once(images.nbytes))
    with ThreadPoolExecutor(max(1, cores() // on_this_machine())) as pool, _limit(max_pixels):
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
    """Converted where it is in another mode: Pillow would copy it where it is not."""
    return picture if picture.mode == mode else picture.convert(mode)


class _Room:
    """The pixels that all threads together may have in work. A larger picture waits until it is alone."""

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
    """Give freed memory back to the system: the C library of Linux keeps it for each thread, which adds up."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _pixels_at_once(array_bytes: int) -> int:
    share = _SHARE_AT_ONCE * max(0, memory.free() - array_bytes)
    return min(_PIXELS_AT_ONCE, int(share / _BYTES_A_PIXEL))


@contextmanager
def _limit(max_pixels: int | None) -> Iterator[None]:
    """Pillow warns above its limit, and refuses pictures twice as large: all of them are refused."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels or before
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _decode(file: Readable, shape: Shape, room: _Room) -> npt.NDArray[np.uint8] | str:
    try:
        if not file.is_file():  # to open a pipe would wait for ever
            return f"{str(file)!r}: is no file, or a link that leads to none"
        with Image.open(_opened(file), formats=_formats(file.name)) as picture:
            mode = "RGB" if shape[2] == 3 else "L"
            picture.draft(mode, (2 * shape[1], 2 * shape[0]))  # a large JPEG is read scaled down
            _check(picture)
            with room.taken(picture.width * picture.height):
                ImageOps.exif_transpose(picture, in_place=True)
                fitted = fit(picture, shape)
                picture.close()  # before another one is let in
                return fitted
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        return f"{str(file)!r}: {_too_large(error)}"
    except UnidentifiedImageError:
        return f"{str(file)!r}: is no picture that can be read"
    # a decoder raises anything on a bad file, struct.error for one; it is told, not swallowed
    except Exception as error:
        return f"{str(file)!r}: {error}"


def _too_large(error: Exception) -> str:
    """Pillow's sentence, and the way on, where it says how large the picture is."""
    found = re.search(r"\((\d+) pixels\)", str(error))
    return f"{error} Add --max-megapixels {-(-int(found[1]) // 10**6) if found else 'N'} to read it"


def _opened(file: Readable) -> Path | IO[bytes]:
    if isinstance(file, Path):
        return file
    with file.open("rb") as stream:
        return io.BytesIO(stream.read())  # to seek in an archive would unpack its member again and again


def _formats(name: str) -> tuple[str, ...]:
    by_name = SUFFIXES.get(Path(name).suffix.lower())
    return (*_FORMATS, by_name) if by_name in _BY_NAME_ONLY else _FORMATS


def _check(picture: Image.Image) -> None:
    """Raise ``ValueError`` where the range of a picture's levels is unknown, or memory does not hold it."""
    if picture.mode == "F" or (picture.mode == "I" and picture.format != "PNG"):
        raise ValueError("levels of 32 bits have no known range: convert it to 8 or 16 bits")
    pixels = picture.width * picture.height
    if pixels > _LARGE_PIXELS and (needed := pixels * _BYTES_A_PIXEL) > (free := memory.free()):
        raise ValueError(
            f"{pixels / 1e6:,.0f} megapixels take {needed / 2**20:,.0f} MiB to decode; {free / 2**20:,.0f} MiB are free"
        )
