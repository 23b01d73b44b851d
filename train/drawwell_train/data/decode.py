"""Decoding pictures into an array, resized and cropped. Unreadable ones are named and skipped."""

import ctypes
import io
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from drawwell.engine.cores import cores
from drawwell.formats.pictures import BYTES_A_PIXEL, Shape, check_levels, draft, fit, formats_of, limited, opened
from drawwell_train.data import memory
from drawwell_train.distributed import local_world_size

_PIXELS_AT_ONCE = 2**26
"""Pixels that all threads decode at once: 1 GB at most."""
_SHARE_AT_ONCE = 0.25
"""Share of the free memory for decoding."""
_LARGE_PIXELS = 2**22


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
    with ThreadPoolExecutor(max(1, cores() // local_world_size())) as pool, limited(max_pixels):
        for position, decoded in enumerate(pool.map(lambda file: _decode(file, shape, room), files)):
            if isinstance(decoded, str):
                skipped.append(decoded)
            else:
                images[len(kept)] = decoded
                kept.append(position)
    return images[: len(kept)], kept, skipped


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
    return min(_PIXELS_AT_ONCE, int(share / BYTES_A_PIXEL))


def _decode(file: Readable, shape: Shape, room: _Room) -> npt.NDArray[np.uint8] | str:
    try:
        if not file.is_file():  # to open a pipe would wait for ever
            return f"{str(file)!r}: is not a file, or is a broken link"
        with _opened(file) as picture:
            pixels = draft(picture, shape)
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
    with (
        _seekable(file) as stream,
        opened(stream, formats_of(file.name), file if isinstance(file, Path) else None) as picture,
    ):
        yield picture


def _seekable(file: Readable) -> IO[bytes]:
    stream = file.open("rb")
    if isinstance(file, Path):
        return stream
    with stream:
        return io.BytesIO(stream.read())  # each seek in an archive would unpack the member again


def _check(picture: Image.Image, pixels: int) -> None:
    """Raise ``ValueError`` if the range of the levels is unknown, or if memory cannot hold the pixels."""
    check_levels(picture)
    if pixels > _LARGE_PIXELS and (needed := pixels * BYTES_A_PIXEL) > (free := memory.free()):
        raise ValueError(
            f"{pixels / 1e6:,.0f} megapixels take {needed / 2**20:,.0f} MiB to decode; {free / 2**20:,.0f} MiB are free"
        )
