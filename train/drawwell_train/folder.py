"""A folder of pictures as an array: found, decoded, resized and cropped; bad ones named, not fatal."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
"""Whatever the name says; Pillow's other decoders, of which EPS runs a program, are not for files of unknown origin."""

Shape = tuple[int, int, int]
"""Height, width, channels."""


def list_classes(folder: Path) -> list[tuple[Path, str]]:
    """Every picture below ``folder`` with its class, the first sub-folder on its way, by name; hidden files are left out."""

    def unreadable(error: OSError) -> None:
        raise error

    found = []
    # links to folders are not followed: they may lead in circles
    for directory, sub_folders, names in os.walk(folder, onerror=unreadable):
        sub_folders.sort()
        parts = Path(directory).relative_to(folder).parts
        found += [
            (Path(directory, name), parts[0] if parts else "")
            for name in names
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        ]
    return sorted(found)


def read_folder(files: Sequence[Path], shape: Shape) -> tuple[npt.NDArray[np.uint8], list[int], list[str]]:
    """Decode ``files`` to uint8 ``[N, H, W, C]``; also the positions of those kept and a sentence for each bad one."""
    images = np.empty((len(files), *shape), np.uint8)
    kept: list[int] = []
    skipped: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        # from 90 megapixels on; Pillow itself refuses twice as many
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for position, decoded in enumerate(pool.map(lambda file: _decode(file, shape), files)):
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
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)).reshape(shape)


def _decode(file: Path, shape: Shape) -> npt.NDArray[np.uint8] | str:
    if not file.is_file():  # to open a pipe would wait for ever
        return f"{str(file)!r}: is no file, or a link that leads to none"
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            mode = "RGB" if shape[2] == 3 else "L"
            picture.draft(mode, (2 * shape[1], 2 * shape[0]))  # a large JPEG is read scaled down
            return fit(ImageOps.exif_transpose(picture), shape)
    except (
        Exception
    ) as error:  # a decoder raises anything on a bad file, struct.error for one; it is told, not swallowed
        return f"{str(file)!r}: {error}"
