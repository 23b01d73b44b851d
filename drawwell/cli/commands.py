"""`drawwell generate`, `drawwell info` and `drawwell verify`."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from drawwell.addresses.arguments import check_address
from drawwell.addresses.latents import random_seed
from drawwell.engine.onnx_session import Provider
from drawwell.errors import DrawwellError, RequestError
from drawwell.files.card import ModelCard
from drawwell.files.generator_file import read_generator
from drawwell.files.labels import label_named
from drawwell.formats.verify import verify as verify_file
from drawwell.formats.write import Order, is_output, write
from drawwell.opening import find_file, is_url, open_generator
from drawwell.terminal import console, table
from drawwell.text import printable, reason


@dataclass(frozen=True)
class GenerateConfig:
    """Draw images from a generator into a folder or an archive of PNGs, one .npy array, or one contact sheet."""

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
    label: Annotated[
        str | None, tyro.conf.arg(metavar="CLASS", help_behavior_hint="(default: that of each image's address)")
    ] = None
    """Of a generator with classes: draw this one alone, by its name, else by its index."""
    out: Path = Path("drawn")
    """A file that ends in .npy (uint8 [N, H, W, C]), .tar (a WebDataset shard), .zip or .png (a contact sheet), or else a
    folder. Folder and archives hold SEED-INDEX.png and, of a generator with classes, SEED-INDEX.cls, the label; with --label
    both are named SEED-INDEX-LABEL. With - a .tar goes to standard output."""
    provider: Provider = "auto"
    """Of a local generator: auto draws on CUDA where it can be had; cuda and cpu insist."""


@dataclass(frozen=True)
class InfoConfig:
    """Print what a generator says of itself. A file is read and checked, and not run."""

    generator: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GENERATOR")] = "fashion"
    """The name of a bundled generator, a generator file, or the URL of a server."""


@dataclass(frozen=True)
class VerifyConfig:
    """Read files of images that drawwell wrote, and say whether each is whole. The exit code is 0 if all are."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")]
    """What `drawwell generate` or a server wrote as .npy, .tar or .zip, under any name."""


def generate(config: GenerateConfig) -> None:
    """Draw what ``config`` says. Raises ``DrawwellError`` with a sentence; a file that was there is then untouched."""
    seed = random_seed() if config.seed is None else config.seed
    count = 64 if config.count is None and config.indices is None else config.count
    seed, indices = check_address(seed, count, config.start, config.indices)
    with closing(open_generator(config.generator, provider=config.provider)) as well:
        label = None if config.label is None else label_named(well.card, config.label)
        if config.seed is None:
            console().print(f"seed {seed}")  # before, since a long drawing may be interrupted
        try:
            write(config.out, Order(well, seed, indices, label))
        except BrokenPipeError:
            raise  # nobody reads the output any more, which is no failure
        except OSError as error:
            raise DrawwellError(f"{printable(config.out)}: cannot be written ({reason(error)})") from error
    where = "on standard output" if is_output(config.out) else f"in {printable(config.out)}"
    console().print(f"{len(indices):,} images of seed {seed} {where}")


def info(config: InfoConfig) -> None:
    """Print the card. Raises ``DrawwellError`` for what is no generator."""
    card, digest = _card(config.generator)
    rows = card.in_words() | {"Digest": digest}
    print("\n".join([printable(card.name), *(f"  {line}" for line in table(rows))]))


def verify(config: VerifyConfig) -> None:
    """Print a line for each file. Raises ``DrawwellError`` where one is not whole."""
    if not config.files:
        raise RequestError("name the files to verify")
    broken = [line for line in map(_print_if_whole, config.files) if line]
    if broken and len(config.files) > 1:
        broken = [f"{len(broken)} of {len(config.files)} files are not whole", *broken]
    if broken:
        raise DrawwellError("\n".join(broken))


def _print_if_whole(file: Path) -> str:
    """Print the line of a file that is whole, and return that of one that is not."""
    try:
        report = verify_file(file)
    except OSError as error:
        return f"{printable(file)}: cannot be read ({reason(error)})"
    line = f"{printable(file)}: {report.sentence}"
    if report.state != "whole":
        return line
    print(line, flush=True)
    return ""


def _card(target: str) -> tuple[ModelCard, str]:
    if is_url(target):
        with closing(open_generator(target)) as client:
            return client.card, client.digest
    file = read_generator(find_file(target))
    return file.card, file.digest
