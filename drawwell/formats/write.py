"""The forms in which `drawwell generate` writes images: a folder, an archive, an array, a contact sheet."""

import hashlib
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

from drawwell.addresses.latents import CheckedIndices
from drawwell.atomic_files import replacing
from drawwell.errors import DrawwellError, RequestError
from drawwell.formats.archives import Archive, File, Tar, Zip
from drawwell.formats.names import facts_of, files_of
from drawwell.formats.png import contact_sheet, to_png
from drawwell.generator import Batch, ImageGenerator, pieces
from drawwell.http.protocol import footer, npy_header
from drawwell.terminal import console
from drawwell.text import printable


@dataclass(frozen=True)
class Order:
    """Which images to draw, and from what; of ``label``, or else each of its address's."""

    well: ImageGenerator
    seed: int
    indices: CheckedIndices
    label: int | None = None


WriteForm = Callable[[BinaryIO, Order], None]

_PIECE_IMAGES = 1024
"""Drawn between two steps of the progress bar."""
_MAX_SHEET_IMAGES = 4096
"""64 by 64: nobody looks at more at once."""


def write(out: Path, order: Order) -> None:
    """Draw the images into ``out``, in the form that its suffix names, else into a folder; as a .tar to standard output for ``-``.

    A file appears under its name when it is whole. Raises ``RequestError`` for a form that there is not or that does not
    hold so many, ``DrawwellError`` where drawing fails, ``OSError`` where writing does.
    """
    kind = out.suffix.lower()
    if kind in _OTHER_FORMS:
        raise RequestError(
            f"{printable(out)}: images are written as .npy, .tar or .zip, as a .png contact sheet, or into a folder, "
            f"not as {kind}"
        )
    if kind == ".png" and len(order.indices) > _MAX_SHEET_IMAGES:
        raise RequestError(
            f"a contact sheet holds at most {_MAX_SHEET_IMAGES:,} images, not {len(order.indices):,}: write .npy, .tar or a folder"
        )
    if is_output(out):
        _write_output(order)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    if kind in _FORMS and not out.is_dir():
        _write_file(out, kind, order)
    else:
        _write_folder(out, order)


def is_output(out: Path) -> bool:
    """Whether this stands for standard output."""
    return str(out) == "-"


def _write_output(order: Order) -> None:
    if sys.stdout is None or sys.stdout.isatty():
        raise RequestError("--out - writes an archive to standard output: send it to a file or into a pipe")
    _FORMS[".tar"](sys.stdout.buffer, order)
    sys.stdout.buffer.flush()


def _write_file(out: Path, kind: str, order: Order) -> None:
    if kind == ".npy":
        _check_room(out.parent, order)
    with replacing(out) as stream:
        _FORMS[kind](stream, order)


def _check_room(folder: Path, order: Order) -> None:
    needed, free = len(order.indices) * math.prod(order.well.card.image_shape), shutil.disk_usage(folder).free
    if needed > free:
        raise DrawwellError(
            f"{printable(folder)}: {needed / 2**30:,.1f} GiB are needed, {free / 2**30:,.1f} GiB are free"
        )


def _write_sheet(stream: BinaryIO, order: Order) -> None:
    images = np.concatenate([batch.images for batch in _drawn(order)])
    stream.write(to_png(contact_sheet(images)))


def _write_npy(stream: BinaryIO, order: Order) -> None:
    """In bounded memory, however many."""
    stream.write(npy_header((len(order.indices), *order.well.card.image_shape)))
    pixels_sha256 = hashlib.sha256()
    for batch in _drawn(order):
        pixels = batch.images.tobytes()
        pixels_sha256.update(pixels)
        stream.write(pixels)
    stream.write(footer(pixels_sha256.digest()))


def _write_archive(form: Callable[[], Archive], stream: BinaryIO, order: Order) -> None:
    """In bounded memory, however many."""
    archive = form()
    for batch in _drawn(order):
        stream.write(archive.append(archive.chunk(_files(order, batch))))
    stream.writelines(archive.end(facts_of(order.well.digest, order.seed, order.indices, order.label)))


def _write_folder(folder: Path, order: Order) -> None:
    folder.mkdir(exist_ok=True)
    for batch in _drawn(order):
        for name, content in _files(order, batch):
            with replacing(folder / name, sync=False) as stream:
                stream.write(content)


def _files(order: Order, batch: Batch) -> list[File]:
    return files_of(order.seed, batch.indices, batch.images, batch.labels, order.label is not None)


def _drawn(order: Order) -> Iterator[Batch]:
    columns = (TextColumn("drawing"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
    screen = console()
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("draw", total=len(order.indices))
        for piece in pieces(order.indices, _PIECE_IMAGES):
            batch = order.well.generate(order.seed, indices=piece, labels=order.label)
            yield batch
            progress.advance(task, len(batch))


_FORMS: dict[str, WriteForm] = {
    ".npy": _write_npy,
    ".png": _write_sheet,
    ".tar": partial(_write_archive, Tar),
    ".zip": partial(_write_archive, Zip),
}
_OTHER_FORMS = {".npz", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".gz", ".tgz"}
"""What a user may mean as a file, and would not like to find as a folder."""
