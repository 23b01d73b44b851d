"""`drawwell generate`, `drawwell info` and `drawwell verify`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from drawwell.addresses.latents import random_seed
from drawwell.engine.onnx_session import Provider
from drawwell.errors import DrawwellError, RequestError
from drawwell.files.budgets import read_budgets
from drawwell.files.card import ModelCard
from drawwell.files.discriminator_card import DiscriminatorCard
from drawwell.files.discriminator_file import read_either
from drawwell.files.selected import in_words
from drawwell.files.selection import read_selection
from drawwell.formats.verify import verify as verify_file
from drawwell.formats.write import Order, check_output, is_output, write
from drawwell.image_request import GenerateArguments
from drawwell.opening import find_file, is_url, open_generator
from drawwell.terminal import console, table
from drawwell.text import printable, reason


@dataclass(frozen=True)
class GenerateConfig:
    """Draw images from a generator into a folder of PNGs, an archive, one .npy array, or one contact sheet."""

    generator: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[GENERATOR]")] = "fashion"
    """A bundled generator (fashion, fashion-int8, fashion-mixture, emoji), a file (generator.onnx, ./generator), or the URL of a server."""
    seed: Annotated[int | None, tyro.conf.arg(help_behavior_hint="(default: a random one, which is printed)")] = None
    """The stream of images, from 0 to 2**63 - 1. The same generator, seed and index give the same image."""
    count: Annotated[int | None, tyro.conf.arg(help_behavior_hint="(default: 64)")] = None
    """How many images to draw."""
    start: int = 0
    """The index of the first image."""
    indices: Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="INT ...", help_behavior_hint="")] = None
    """The indices to draw, in this order, instead of --start and --count."""
    label: Annotated[
        str | None,
        tyro.conf.arg(metavar="CLASS", help_behavior_hint="(default: each image has the class of its address)"),
    ] = None
    """Draw only this class, given by its name or its index."""
    per_class: Annotated[str | None, tyro.conf.arg(metavar="CLASS=COUNT,...", help_behavior_hint="")] = None
    """How many images of each class, as in "Sneaker=500,Bag=200", instead of --count, --indices and --label: the first indices from
    --start on that have these classes by their addresses."""
    selection: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """A selection of this generator: draw its images, or --count of them from position --start on."""
    out: Path = Path("drawn")
    """Where to write. The ending chooses the format: .npy (uint8 [N, H, W, C]), .tar (a WebDataset shard), .zip, or .png
    (a contact sheet); any other name is a folder. A file that exists is replaced. A folder that exists gets the images
    beside those from earlier, and is refused if it holds other files. A dash writes a .tar to standard output. Folders and archives hold
    SEED-INDEX.png, and SEED-INDEX.cls with the label if there are classes; with --label the names are SEED-INDEX-LABEL."""
    provider: Provider = "auto"
    """Where to draw: auto takes CUDA if a device can be used, else the CPU. Not for a URL."""


@dataclass(frozen=True)
class InfoConfig:
    """Print the model card of a generator: image size, classes, training data, and measured quality. Nothing is drawn. For a
    discriminator file, print what its logits mean; for a selection file, how it was made and what it gained."""

    generator: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[GENERATOR]")] = "fashion"
    """A bundled generator (fashion, fashion-int8, fashion-mixture, emoji), a file (generator.onnx, discriminator.onnx, ./generator),
    the URL of a server, or a selection file (bags.json)."""


@dataclass(frozen=True)
class VerifyConfig:
    """Check that files of images are whole and undamaged, and print what each holds. The exit code is 0 if all are whole."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")]
    """Files in the format .npy, .tar or .zip from `drawwell generate` or from a server, under any name."""


def generate(config: GenerateConfig) -> None:
    """Draw images into files. Raises ``DrawwellError``; a file that was there before is then unchanged."""
    with open_generator(config.generator, provider=config.provider) as generator:
        request = _arguments(config).check(generator.card, generator.digest)
        seed, indices, labels, spread = request.seed, request.indices, request.labels, request.scale.spread
        assert seed is not None, "the command draws addresses"
        try:
            check_output(config.out, len(indices))
            if config.seed is None and config.selection is None:
                console().print(f"seed {seed}")  # before, since a long drawing may be interrupted
            write(config.out, Order(generator, seed, indices, labels, spread))
        except BrokenPipeError:
            raise  # nobody reads the output any more, which is no failure of writing
        except OSError as error:
            raise DrawwellError(f"{printable(config.out)}: cannot be written ({reason(error)})") from error
    where = "on standard output" if is_output(config.out) else f"in {printable(config.out)}"
    images = "1 image" if len(indices) == 1 else f"{len(indices):,} images"
    console().print(f"{images} of seed {seed} {where}")


def _arguments(config: GenerateConfig) -> GenerateArguments:
    per_class = None if config.per_class is None else read_budgets(config.per_class)
    seed, count = config.seed, config.count
    if config.selection is None:
        seed = random_seed() if seed is None else seed
        count = 64 if count is None and config.indices is None and per_class is None else count
    return GenerateArguments(seed, count, config.start, config.indices, config.label, per_class, config.selection)


def info(config: InfoConfig) -> None:
    """Print the card, or a selection. Raises ``DrawwellError`` if there is no such generator or selection."""
    if not is_url(config.generator) and config.generator.endswith(".json"):
        print("\n".join(table(in_words(read_selection(Path(config.generator).expanduser())))))
        return
    card, digest = _card(config.generator)
    rows = card.in_words() | {"Digest": digest}
    print("\n".join([printable(card.name), *(f"  {line}" for line in table(rows))]))


def verify(config: VerifyConfig) -> None:
    """Print a line for each whole file. Raises ``DrawwellError`` with the other files, if there are any."""
    if not config.files:
        raise RequestError("name the files to verify")
    broken = [line for line in map(_print_if_whole, config.files) if line]
    if broken and len(config.files) > 1:
        broken = [f"{len(broken)} of {len(config.files)} files are not whole", *broken]
    if broken:
        raise DrawwellError("\n".join(broken))


def _print_if_whole(file: Path) -> str:
    """Print the line of a whole file; return the line of any other."""
    if file.is_dir():
        return f"{printable(file)}: is a folder, and its images have no checksum: draw into a .tar, .zip or .npy to verify it"
    try:
        report = verify_file(file)
    except OSError as error:
        return f"{printable(file)}: cannot be read ({reason(error)})"
    line = f"{printable(file)}: {report.sentence}"
    if report.state != "whole":
        return line
    print(line, flush=True)
    return ""


def _card(target: str) -> tuple[ModelCard | DiscriminatorCard, str]:
    if is_url(target):
        with open_generator(target) as client:
            return client.card, client.digest
    file = read_either(find_file(target))
    return file.card, file.digest
