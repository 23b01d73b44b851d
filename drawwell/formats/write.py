"""The formats in which `drawwell generate` writes images: a folder, an archive, an array, a contact sheet."""

import math
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from drawwell.addresses.arguments import CheckedIndices
from drawwell.atomic_files import replacing
from drawwell.errors import DrawwellError, RequestError
from drawwell.files.labels import CheckedLabels, labels_at
from drawwell.formats.archives import Archive, File, Tar, Zip
from drawwell.formats.names import NAME, facts_of, files_of
from drawwell.formats.npy import Npy
from drawwell.formats.png import contact_sheet, to_png
from drawwell.generator import Batch, ImageGenerator
from drawwell.pieces import slices
from drawwell.terminal import console
from drawwell.text import printable


@dataclass(frozen=True)
class Order:
    """Which images to draw, and with which generator: of the chosen ``labels``, or each of the class of its address."""

    generator: ImageGenerator
    seed: int
    indices: CheckedIndices
    labels: CheckedLabels | None = None
    spread: float = 1.0


WriteFormat = Callable[[BinaryIO, Order], None]

_STEP_IMAGES = 1024
"""Between two steps of the progress bar."""
_MAX_SHEET_IMAGES = 4096
"""64 by 64: nobody looks at more at once."""


def check_output(out: Path, count: int) -> None:
    """Raise ``RequestError`` for an unknown format, one that does not hold ``count`` images, or a folder that holds other files."""
    kind = out.suffix.lower()
    if kind in _OTHER_SUFFIXES:
        raise RequestError(
            f"{printable(out)}: images are written as .npy, .tar or .zip, as a .png contact sheet, or into a folder, "
            f"not as {kind}"
        )
    if kind == ".png" and count > _MAX_SHEET_IMAGES:
        raise RequestError(
            f"a contact sheet holds at most {_MAX_SHEET_IMAGES:,} images, not {count:,}: write .npy, .tar or a folder"
        )
    if out.is_dir() and (other := next(filter(_is_foreign, out.iterdir()), None)):
        raise RequestError(
            f"{printable(out)}: this folder holds {printable(other.name)!r}, which is no drawn image: name another folder with --out"
        )


def _is_foreign(path: Path) -> bool:
    """Hidden files are of the system, or left over from a killed command."""
    return not NAME.fullmatch(path.name) and not path.name.startswith(".")


def write(out: Path, order: Order) -> None:
    """Draw the images into ``out``, in the format of its suffix, or else into a folder; ``-`` writes a .tar to standard output.

    A file appears under its name when it is whole. Raises ``RequestError`` as ``check_output`` does, ``DrawwellError`` if drawing
    fails, ``OSError`` if writing fails.
    """
    check_output(out, len(order.indices))
    kind = out.suffix.lower()
    if is_output(out):
        _write_output(order)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    if kind in _FORMATS and not out.is_dir():
        _write_file(out, kind, order)
    else:
        _write_folder(out, order)


def is_output(out: Path) -> bool:
    """Return whether ``out`` stands for standard output."""
    return str(out) == "-"


def _write_output(order: Order) -> None:
    if sys.stdout is None or sys.stdout.isatty():
        raise RequestError(
            "--out - writes a .tar to standard output, which is a terminal: send it to a file or into a pipe"
        )
    _FORMATS[".tar"](sys.stdout.buffer, order)
    sys.stdout.buffer.flush()


def _write_file(out: Path, kind: str, order: Order) -> None:
    if kind == ".npy":
        _check_room(out, order)
    with replacing(out) as stream:
        _FORMATS[kind](stream, order)


def _check_room(out: Path, order: Order) -> None:
    needed, free = len(order.indices) * math.prod(order.generator.card.image_shape), shutil.disk_usage(out.parent).free
    if needed > free:
        raise DrawwellError(
            f"{printable(out)}: the images need {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB are free"
        )


def _write_sheet(stream: BinaryIO, order: Order) -> None:
    images = np.concatenate([batch.images for batch in _drawn(order)])
    stream.write(to_png(contact_sheet(images)))


def _write_npy(stream: BinaryIO, order: Order) -> None:
    """In bounded memory, however many."""
    npy = Npy((len(order.indices), *order.generator.card.image_shape))
    stream.write(npy.header)
    for batch in _drawn(order):
        stream.write(npy.append(batch.images.tobytes()))
    stream.write(npy.end())


def _write_archive(kind: Callable[[], Archive], stream: BinaryIO, order: Order) -> None:
    """In bounded memory, however many."""
    archive = kind()
    for batch in _drawn(order):
        stream.write(archive.append(archive.chunk(_files(order, batch))))
    stream.writelines(archive.end(_facts(order)))


def _facts(order: Order) -> dict[str, object]:
    facts = facts_of(order.generator.digest, order.seed, order.indices, order.labels)
    return facts if order.spread == 1 else facts | {"spread": order.spread}


def _write_folder(folder: Path, order: Order) -> None:
    folder.mkdir(exist_ok=True)
    for batch in _drawn(order):
        for name, content in _files(order, batch):
            with replacing(folder / name, sync=False) as stream:
                stream.write(content)


def _files(order: Order, batch: Batch) -> list[File]:
    return files_of(order.seed, batch.indices, batch.images, batch.labels, order.labels is not None)


def _drawn(order: Order) -> Iterator[Batch]:
    columns = (TextColumn("drawing"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
    screen = console()
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("draw", total=len(order.indices))
        for piece in slices(len(order.indices), _STEP_IMAGES):
            labels = labels_at(order.labels, piece.start, piece.stop)
            batch = order.generator.generate(
                order.seed, indices=order.indices[piece], labels=labels, spread=order.spread
            )
            yield batch
            progress.advance(task, len(batch))


_FORMATS: dict[str, WriteFormat] = {
    ".npy": _write_npy,
    ".png": _write_sheet,
    ".tar": partial(_write_archive, Tar),
    ".zip": partial(_write_archive, Zip),
}
_OTHER_SUFFIXES = {".npz", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".gz", ".tgz"}
"""A user who names such a file does not want a folder of this name."""
