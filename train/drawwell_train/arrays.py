"""Files that hold many images: IDX as MNIST publishes it, CIFAR-10's binary batches, numpy's own."""

import gzip
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from drawwell_train.images import DataError, ImageData, check_memory, check_unpacked, memory_limit

_CIFAR_RECORD = 1 + 3 * 32 * 32  # one byte of label, then the red, green and blue planes
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CHUNK_BYTES = 2**24


def read_file(path: Path) -> ImageData:
    """Read one file by its name's ending. Raises ``DataError`` for a damaged one, and for what memory does not hold."""
    name = path.name.lower()
    if name.endswith((".bin", ".bin.gz")):
        return read_cifar(path)
    if name.endswith(".gz"):
        return read_idx_pair(path)
    if name.endswith((".npy", ".npz")):
        return _read_numpy(path)
    raise DataError(
        f"{path}: of files, .npy, .npz, IDX .gz and CIFAR .bin or .bin.gz are read; for pictures name their folder"
    )


def read_idx_pair(path: Path) -> ImageData:
    """Images, and their labels where the file of the same name with ``labels-idx1`` lies beside them."""
    images = _read_idx(path)
    if images.ndim not in (3, 4):
        raise DataError(f"{path}: holds an array of {images.ndim} dimensions, images have 3")
    labels_path = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    if labels_path == path or not labels_path.is_file():
        return ImageData(_four_dimensions(images))
    return _labelled(labels_path, images, _read_idx(labels_path), None)


def read_cifar(path: Path) -> ImageData:
    """One batch of CIFAR-10, zipped or not."""
    content = _unzipped(path) if path.name.endswith(".gz") else _whole(path)
    if not content or len(content) % _CIFAR_RECORD:
        raise DataError(f"{path}: {len(content):,} bytes are no whole number of CIFAR-10 records of {_CIFAR_RECORD:,}")
    records = np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    if records[:, 0].max() >= len(_CIFAR_CLASSES):
        raise DataError(f"{path}: a label of {records[:, 0].max()}: is this CIFAR-100? Only CIFAR-10's layout is read")
    return ImageData(images, records[:, 0].astype(np.int64), _CIFAR_CLASSES)


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """http://yann.lecun.com/exdb/mnist: two zeros, the type, the dimensions, their lengths as big-endian int32, bytes."""
    content = _unzipped(path)
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not content[3] or len(content) < 4 + 4 * content[3]:
        raise DataError(f"{path}: is no IDX file of unsigned bytes")
    shape = tuple(np.frombuffer(content, ">i4", content[3], offset=4).tolist())
    pixels = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if min(shape) < 0 or len(pixels) != np.prod(shape):
        raise DataError(f"{path}: its header says {shape}, but {len(pixels):,} bytes follow")
    return pixels.reshape(shape)


def _read_numpy(path: Path) -> ImageData:
    """The one uint8 array of 3 or 4 dimensions is the images; ``labels`` (or ``y``) and ``classes`` are taken where there are some."""
    arrays = _load_numpy(path)
    found = [
        array.astype(np.uint8, copy=False)
        for array in arrays.values()
        if array.dtype == np.uint8 and array.ndim in (3, 4)
    ]
    if len(found) != 1:
        raise DataError(f"{path}: needs exactly one uint8 array [N, H, W] or [N, H, W, C], has {len(found)}")
    labels = arrays.get("labels", arrays.get("y"))
    if labels is None:
        return ImageData(_four_dimensions(found[0]))
    return _labelled(path, found[0], labels, arrays.get("classes"))


def _load_numpy(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    try:
        if zipfile.is_zipfile(path):  # whatever its name: numpy looks at the content
            _check_archive(path)
        else:
            check_memory(path.stat().st_size, f"{path}: its array")
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return {"images": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except DataError:
        raise
    except Exception as error:  # SyntaxError for one, of a bad header; it is told, not swallowed
        raise DataError(f"{path}: is no readable .npy or .npz ({error})") from error


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names, size = archive.namelist(), sum(entry.file_size for entry in archive.infolist())
    for name in names:
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise DataError(f"{path}: holds {name!r}, a path that leads out of it")
    check_unpacked(path.stat().st_size, size, str(path))
    check_memory(size, f"{path}: its arrays")


def _labelled(
    path: Path,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.generic],
    names: npt.NDArray[np.generic] | None,
) -> ImageData:
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{path}: {len(images):,} images need as many integer labels, there are {labels.dtype} {list(labels.shape)}"
        )
    highest = int(labels.max()) if len(labels) else -1
    classes = tuple(map(str, range(highest + 1) if names is None else names.tolist()))
    if len(labels) and (int(labels.min()) < 0 or highest >= len(classes)):
        raise DataError(f"{path}: labels from {labels.min()} to {highest} do not fit {len(classes)} classes")
    return ImageData(_four_dimensions(images), labels.astype(np.int64), classes)


def _unzipped(path: Path) -> bytearray:
    content, limit, packed = bytearray(), memory_limit(), path.stat().st_size
    try:
        with gzip.open(path) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                content += chunk
                check_unpacked(packed, len(content), str(path))
                if len(content) > limit:
                    check_memory(len(content), f"{path}: its first images alone")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: is no whole gzip file ({error})") from error
    return content


def _whole(path: Path) -> bytearray:
    check_memory(path.stat().st_size, f"{path}: its images")
    return bytearray(path.read_bytes())


def _four_dimensions(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return images[..., None] if images.ndim == 3 else images
