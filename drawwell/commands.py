"""`drawwell generate` and `drawwell info`."""

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from drawwell.batch import Batch, Generator, address, pieces
from drawwell.card import ModelCard
from drawwell.errors import DrawwellError, RequestError
from drawwell.generator_file import read_generator
from drawwell.latents import CheckedIndices, random_seed
from drawwell.opening import find_file, is_url, open_generator
from drawwell.pictures import contact_sheet, to_png, to_pngs
from drawwell.session import Provider
from drawwell.terminal import console
from drawwell.wire import npy_header

WriteForm = Callable[[Path, Generator, int, CheckedIndices], None]

_PIECE_IMAGES = 1024
"""Drawn between two steps of the progress bar."""
_MAX_SHEET_IMAGES = 4096
"""64 by 64: nobody looks at more at once."""


@dataclass(frozen=True)
class GenerateConfig:
    """Draw images from a generator into a folder of PNGs, one .npy array, or one contact sheet."""

    generator: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GENERATOR")] = "fashion"
    """The name of a bundled generator, a generator file, or the URL of a server."""
    seed: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: a random one, which is then named)")
    ] = None
    """Which stream of images, 0 to 2**63 - 1."""
    count: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: 64)")] = None
    """How many images."""
    start: int = 0
    """The first index."""
    indices: Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="INT ...", help_behavior_hint="")] = None
    """The indices themselves, instead of --start and --count."""
    out: Path = Path("drawn")
    """A file that ends in .npy (uint8 [N, H, W, C]), one that ends in .png (a contact sheet), or else a folder for
    SEED-INDEX.png."""
    provider: Provider = "auto"
    """Of a local generator: auto draws on CUDA where it can be had; cuda and cpu insist."""


@dataclass(frozen=True)
class InfoConfig:
    """Print what a generator says of itself. A file is read and checked, and not run."""

    generator: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GENERATOR")] = "fashion"
    """The name of a bundled generator, a generator file, or the URL of a server."""


def generate(config: GenerateConfig) -> None:
    """Draw what ``config`` says. Raises ``DrawwellError`` with a sentence; a .npy or .png that was there is then untouched."""
    seed = random_seed() if config.seed is None else config.seed
    count = 64 if config.count is None and config.indices is None else config.count
    seed, indices = address(seed, count, config.start, config.indices)
    with closing(open_generator(config.generator, provider=config.provider)) as well:
        if config.seed is None:
            console().print(f"seed {seed}")  # before, since a long drawing may be interrupted
        try:
            _write(config.out, well, seed, indices)
        except OSError as error:
            raise DrawwellError(f"{config.out}: cannot be written ({error.strerror})") from error
    console().print(f"{len(indices):,} images of seed {seed} in {config.out}")


def info(config: InfoConfig) -> None:
    """Print the card. Raises ``DrawwellError`` for what is no generator."""
    card, digest = _card(config.generator)
    rows = card.in_words() | {"Digest": digest}
    width = max(map(len, rows))
    lines = [card.name, *(f"  {name:{width}}  {fact}" for name, fact in rows.items())]
    # a card may come from anywhere, and a terminal obeys control characters
    print("\n".join("".join(c if c.isprintable() else "\ufffd" for c in line) for line in lines))


def _card(target: str) -> tuple[ModelCard, str]:
    if is_url(target):
        with closing(open_generator(target)) as client:
            return client.card, client.digest
    file = read_generator(find_file(target))
    return file.card, file.digest


def _write(out: Path, well: Generator, seed: int, indices: CheckedIndices) -> None:
    kind = out.suffix.lower()
    if kind in _OTHER_FORMS:
        raise RequestError(
            f"{out}: images are written as .npy, as a .png contact sheet, or into a folder, not as {kind}"
        )
    if kind == ".png" and len(indices) > _MAX_SHEET_IMAGES:
        raise RequestError(
            f"a contact sheet holds at most {_MAX_SHEET_IMAGES:,} images, not {len(indices):,}: write .npy or a folder"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    if kind in _FORMS and not out.is_dir():
        _write_file(out, _FORMS[kind], well, seed, indices)
    else:
        _write_folder(out, well, seed, indices)


def _write_file(out: Path, form: WriteForm, well: Generator, seed: int, indices: CheckedIndices) -> None:
    temporary = out.with_name(f".{out.name}.writing")
    try:
        form(temporary, well, seed, indices)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _write_sheet(file: Path, well: Generator, seed: int, indices: CheckedIndices) -> None:
    images = np.concatenate([batch.images for batch in _drawn(well, seed, indices)])
    file.write_bytes(to_png(contact_sheet(images)))


def _write_npy(file: Path, well: Generator, seed: int, indices: CheckedIndices) -> None:
    """In bounded memory, however many."""
    needed, free = len(indices) * math.prod(well.card.image_shape), shutil.disk_usage(file.parent).free
    if needed > free:
        raise DrawwellError(f"{file.parent}: {needed / 2**30:,.1f} GiB are needed, {free / 2**30:,.1f} GiB are free")
    with file.open("wb") as stream:
        stream.write(npy_header((len(indices), *well.card.image_shape)))
        for batch in _drawn(well, seed, indices):
            stream.write(batch.images.tobytes())


def _write_folder(folder: Path, well: Generator, seed: int, indices: CheckedIndices) -> None:
    folder.mkdir(exist_ok=True)
    for batch in _drawn(well, seed, indices):
        for index, png in zip(batch.indices, to_pngs(batch.images), strict=True):
            (folder / f"{seed}-{index}.png").write_bytes(png)


def _drawn(well: Generator, seed: int, indices: CheckedIndices) -> Iterator[Batch]:
    columns = (TextColumn("drawing"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
    screen = console()
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("draw", total=len(indices))
        for piece in pieces(indices, _PIECE_IMAGES):
            batch = well.generate(seed, indices=piece)
            yield batch
            progress.advance(task, len(batch))


_FORMS: dict[str, WriteForm] = {".npy": _write_npy, ".png": _write_sheet}
_OTHER_FORMS = {".npz", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".zip", ".tar"}
"""What a user may mean as a file, and would not like to find as a folder."""
