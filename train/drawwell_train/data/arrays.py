"""Files that hold many images: IDX as MNIST publishes it, CIFAR-10's binary batches, numpy's own."""

import gzip
import math
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drawwell_train.data.classes import is_text, some, tidy
from drawwell_train.data.images import DataError, ImageData, check_memory, check_unpacked, memory_limit
from drawwell_train.data.zip_file import check_members

Array = npt.NDArray[Any]

_CIFAR_RECORD = 1 + 3 * 32 * 32  # one byte of label, then the red, green and blue planes
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_IDX_MAGIC = b"\0\0\x08"
"""Two zeros, and the type: unsigned bytes."""
_NUMPY_NAMES = (
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
    ("images", "labels"),
    ("x", "y"),
)
"""Names of images and of their labels, as Keras and others call them, in lower case."""
_CHUNK_BYTES = 2**24


def read_file(path: Path) -> ImageData:
    """Read one file, by the ending of its name. Raises ``DataError`` if it is damaged, not supported, or too large for memory."""
    name = path.name.lower()
    if name.endswith((".bin", ".bin.gz")):
        return read_cifar([path])
    if name.endswith((".npy", ".npz")) or is_numpy_archive(path):
        return _read_numpy(path)
    if name.endswith(".gz") or _begins_as_idx(path):
        return read_idx_pair(path)
    raise DataError(
        f"{path}: this kind of file is not supported; .npy, .npz, .zip, IDX and CIFAR-10 .bin are, the last two also as .gz. For pictures, "
        "name their folder"
    )


def is_numpy_archive(path: Path) -> bool:
    """Whether ``path`` is a .zip that holds only arrays: an .npz under another name."""
    if path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return bool(names) and all(name.endswith(".npy") for name in names)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: is not a readable .zip ({error})") from error


def find_idx(folder: Path) -> Path | None:
    """The training images among MNIST's files in ``folder``, packed or not; None if they are not there."""
    names = [f"train-images{dot}idx3-ubyte{packed}" for packed in (".gz", "") for dot in "-."]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_idx_pair(path: Path) -> ImageData:
    """Images, with labels if a file of the same name with ``labels-idx1`` lies beside them."""
    images = _read_idx(path, (3, 4))
    labels_path = _labels_beside(path)
    if labels_path is None:
        return ImageData(_four_dimensions(images), why_no_classes="there is no file of labels beside the images")
    return _labelled(labels_path, images, _read_idx(labels_path, (1,)), None)


def read_cifar(paths: Sequence[Path]) -> ImageData:
    """CIFAR-10 from its binary batches, packed or not."""
    batches = [_read_cifar_batch(path) for path in paths]
    if len(batches) > 1:
        check_memory(sum(batch.nbytes for batch in batches), f"{paths[0].parent}: its images")
    records = batches[0] if len(batches) == 1 else np.concatenate(batches)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return _labelled(paths[0], images, records[:, 0], _CIFAR_CLASSES)


def _read_cifar_batch(path: Path) -> npt.NDArray[np.uint8]:
    """Records uint8 ``[N, 3073]``."""
    content = _unzipped(path) if path.name.endswith(".gz") else _whole(path)
    if not content or len(content) % _CIFAR_RECORD:
        raise DataError(
            f"{path}: {len(content):,} bytes are not a whole number of CIFAR-10 records of {_CIFAR_RECORD:,}"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_RECORD)
    if records[:, 0].max() >= len(_CIFAR_CLASSES):
        raise DataError(
            f"{path}: holds label {records[:, 0].max()}, and CIFAR-10 has labels 0 to 9. CIFAR-100 is not supported"
        )
    return records


def _begins_as_idx(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_IDX_MAGIC)) == _IDX_MAGIC


def _labels_beside(path: Path) -> Path | None:
    """The file of labels beside a file of images, packed or not; None if there is none. A broken link counts: reading it is an error."""
    name = path.name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1")
    if name == path.name:
        return None
    names = (name, name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz")
    return next((path.with_name(one) for one in names if os.path.lexists(path.with_name(one))), None)


def _read_idx(path: Path, dimensions: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """http://yann.lecun.com/exdb/mnist: two zeros, the type, the dimensions, their lengths as big-endian int32, bytes."""
    content = _unzipped(path) if path.name.lower().endswith(".gz") else _whole(path)
    if len(content) < 4 or content[:3] != _IDX_MAGIC or not content[3] or len(content) < 4 + 4 * content[3]:
        raise DataError(f"{path}: is not an IDX file of unsigned bytes")
    if content[3] not in dimensions:
        expected = " or ".join(map(str, dimensions))
        raise DataError(f"{path}: holds an array of {content[3]} dimensions, not of {expected}")
    shape = tuple(np.frombuffer(content, ">i4", content[3], offset=4).tolist())
    pixels = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if min(shape) < 0 or len(pixels) != math.prod(shape):
        raise DataError(f"{path}: its header says {shape}, but {len(pixels):,} bytes follow")
    return pixels.reshape(shape)


def _read_numpy(path: Path) -> ImageData:
    """The images are the uint8 array of 3 or 4 dimensions; of several, the one with a name in ``_NUMPY_NAMES``. Labels are ``labels``,
    the array that ``_NUMPY_NAMES`` pairs with the images, or ``y``; names of classes are ``classes``.
    """
    loaded = _load_numpy(path)
    lowered = {name.lower(): array for name, array in loaded.items()}
    arrays = lowered if len(lowered) == len(loaded) else loaded
    found = {name: array for name, array in arrays.items() if array.dtype == np.uint8 and array.ndim in (3, 4)}
    chosen = next(iter(found)) if len(found) == 1 else next((name for name, _ in _NUMPY_NAMES if name in found), None)
    if chosen is None:
        names = ", ".join(images for images, _ in _NUMPY_NAMES)
        described = some([f"{name!r} of {array.dtype} {list(array.shape)}" for name, array in loaded.items()])
        raise DataError(
            f"{path}: needs exactly one uint8 array [N, H, W] or [N, H, W, C], or one called {names}; has {len(found)} such among "
            f"its arrays: {described or 'none'}"
        )
    partner = dict(_NUMPY_NAMES).get(chosen, "labels")
    labels = next((arrays[name] for name in ("labels", partner, "y") if name in arrays), None)
    left_out = tuple(f"left out {len(found[name]):,} images of {name!r}" for name in found if name != chosen)
    if labels is None:
        return ImageData(
            _four_dimensions(found[chosen]), why_no_classes="the file has no labels beside its images", remarks=left_out
        )
    return _labelled(path, found[chosen], labels, _class_names(path, arrays.get("classes")), left_out)


def _load_numpy(path: Path) -> Mapping[str, Array]:
    try:
        if zipfile.is_zipfile(path):  # whatever its name: numpy looks at the content
            _check_archive(path)
        else:
            check_memory(path.stat().st_size, f"{path}: its array")
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = {"images": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except DataError:
        raise
    except Exception as error:  # numpy raises anything on a bad file, for example SyntaxError
        raise DataError(f"{path}: is not a readable .npy or .npz ({error})") from error
    if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise DataError(f"{path}: holds {strange[0]!r}, which is not an array")
    return arrays


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        check_members(path, archive)
        check_memory(sum(entry.file_size for entry in archive.infolist()), f"{path}: its arrays")


def _class_names(path: Path, names: Array | None) -> tuple[str, ...] | None:
    """Class names out of an array. Raises ``DataError`` if two are equal, or one is empty or not UTF-8."""
    if names is None:
        return None
    try:
        tidied = tuple(tidy(name.decode() if isinstance(name, bytes) else str(name)) for name in names.tolist())
    except (TypeError, ValueError) as error:  # one name alone, or bytes that are no text
        raise DataError(f"{path}: its classes are not a list of names ({error})") from error
    if names.ndim != 1 or not all(tidied) or len(set(tidied)) < len(tidied) or not all(map(is_text, tidied)):
        raise DataError(f"{path}: its classes must be a list of names in UTF-8, each once and none empty")
    return tidied


def _labelled(
    path: Path,
    images: npt.NDArray[np.uint8],
    labels: Array,
    names: Sequence[str] | None,
    remarks: tuple[str, ...] = (),
) -> ImageData:
    if labels.shape == (len(images), 1):  # as Keras and MedMNIST have them
        labels = labels[:, 0]
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{path}: {len(images):,} images need {len(images):,} integer labels; the labels are {labels.dtype} {list(labels.shape)}"
        )
    seen, labels = np.unique(labels, return_inverse=True)
    if len(seen) and (seen[0] < 0 or (names is not None and seen[-1] >= len(names))):
        range_ = "0 or more" if names is None else f"0 to {len(names) - 1}"
        unfit = "" if names is None else f" do not fit {len(names)} classes"
        raise DataError(f"{path}: labels from {seen[0]} to {seen[-1]}{unfit}: they must be {range_}")
    classes = tuple(str(label) if names is None else names[label] for label in seen.tolist())
    unseen = [name for name in names or () if name not in classes]
    if unseen:
        remarks += (f"left out {len(unseen):,} classes without images: {some(unseen)}",)
    return ImageData(_four_dimensions(images), labels.astype(np.int64), classes, remarks=remarks)


def _unzipped(path: Path) -> bytearray:
    content, limit, packed = bytearray(), memory_limit(), _size(path)
    try:
        with gzip.open(path) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                content += chunk
                check_unpacked(packed, len(content), str(path))
                if len(content) > limit:
                    check_memory(len(content), f"{path}: its first images alone")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: is not a complete gzip file ({error})") from error
    return content


def _whole(path: Path) -> bytearray:
    check_memory(_size(path), f"{path}: its images")
    return bytearray(path.read_bytes())


def _size(path: Path) -> int:
    """Size in bytes. Raises ``DataError`` for a pipe or a device, which may never end."""
    if not path.is_file():
        raise DataError(f"{path}: is not a file, or is a broken link")
    return path.stat().st_size


def _four_dimensions(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return images[..., None] if images.ndim == 3 else images
