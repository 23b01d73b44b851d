"""Images in memory, and whether memory holds them."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from drawwell.errors import DrawwellError
from drawwell_train.data import memory

_MEMORY_SHARE = 0.8
"""Share of the free memory for images: networks, gradients and Adam's moments need the rest."""

_BOMB_BYTES, _BOMB_RATIO = 2**26, 200


class DataError(DrawwellError):
    """The data cannot be used; the message says why."""


@dataclass(frozen=True)
class ImageData:
    """Images uint8 ``[N, H, W, C]``, and labels int64 ``[N]`` if the source has classes."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    """By label. Every class has images."""
    why_no_classes: str = ""
    """If there are no labels, the reason."""
    skipped: tuple[str, ...] = ()
    """A sentence for each picture that cannot be read."""
    remarks: tuple[str, ...] = ()
    """Sentences about data that was left out or renumbered."""

    def sha256(self, with_labels: bool = False) -> str:
        """SHA-256 of the shape and the pixels, and with ``with_labels`` of the labels, as 64 hex digits."""
        total = hashlib.sha256(str(self.images.shape).encode())
        total.update(np.ascontiguousarray(self.images).data)
        if with_labels and self.labels is not None:
            total.update(self.labels.astype("<i8").tobytes())
        return total.hexdigest()


def memory_limit() -> int:
    """Bytes that images may occupy."""
    return int(_MEMORY_SHARE * memory.free())


def check_memory(needed: int, what: str) -> None:
    """Raise ``DataError`` if ``needed`` bytes are more than images may occupy. ``what`` begins the sentence."""
    if needed > memory_limit():
        available = memory.free() / 2**30
        raise DataError(f"{what} need {needed / 2**30:,.1f} GiB of memory; {available:,.1f} GiB are free")


def check_device_memory(needed: int, device: torch.device) -> None:
    """Raise ``DataError`` if images of ``needed`` bytes are too many for the free memory of a CUDA device."""
    if device.type != "cuda":
        return
    free, _ = torch.cuda.mem_get_info(device)
    if needed > _MEMORY_SHARE * free:
        raise DataError(
            f"the images need {needed / 2**30:,.1f} GiB on the device, which has {free / 2**30:,.1f} GiB free, and the networks need "
            "some of it: use a smaller --size, fewer images, or --device cpu"
        )


def check_unpacked(packed: int, unpacked: int, what: str) -> None:
    """Raise ``DataError`` if ``packed`` bytes unpack to far more than pictures do: a zip bomb."""
    if unpacked > max(_BOMB_BYTES, _BOMB_RATIO * packed):
        raise DataError(
            f"{what}: {packed:,} bytes unpack to {unpacked:,} or more, which pictures never do: it was not unpacked"
        )
