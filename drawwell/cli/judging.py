"""`drawwell judge`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from drawwell.engine.judge import Judge
from drawwell.engine.judgement import scale_of
from drawwell.errors import DrawwellError, PictureError, RequestError
from drawwell.files.labels import label_named
from drawwell.opening import find_discriminator
from drawwell.terminal import table
from drawwell.text import printable


@dataclass(frozen=True)
class JudgeConfig:
    """Ask a run's discriminator how authentic pictures are: does it take them for real ones, or for drawn ones?

    A logit means little alone. So each picture is placed among real images that training held out, and among drawn ones."""

    discriminator: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
    """The file discriminator.onnx that `drawwell export` wrote, or the generator beside it."""
    pictures: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE ...", help_behavior_hint="")
    ]
    """Pictures of any size. They are resized and cropped as training does it."""
    label: Annotated[
        str | None,
        tyro.conf.arg(metavar="CLASS", help_behavior_hint="(default: the most likely class of each)"),
    ] = None
    """Judge the pictures as images of this class, given by its name or its index."""


def judge(config: JudgeConfig) -> None:
    """Print what the discriminator says of each picture. Raises ``DrawwellError`` with the pictures that cannot be judged."""
    if not config.pictures:
        raise RequestError("name the pictures to judge")
    with Judge(find_discriminator(config.discriminator)) as opened:
        label = None if config.label is None else label_named(opened.card, config.label)
        bad = [sentence for picture in config.pictures if (sentence := _print(opened, picture, label))]
        if len(bad) < len(config.pictures):
            print(_meaning(opened, label is not None))
    if bad:
        raise DrawwellError("\n".join([f"{len(bad)} of {len(config.pictures)} pictures cannot be judged", *bad]))


def _print(judge: Judge, picture: Path, label: int | None) -> str:
    """Print what is said of one picture; return the sentence about a picture that cannot be read."""
    try:
        image = judge.read(picture)
    except PictureError as error:
        return str(error)
    (judgement,) = judge.judge(image[None], label)
    rows = judgement.in_words(judge.card)
    print("\n".join([printable(picture), *(f"  {line}" for line in table(rows)), ""]), flush=True)
    return ""


def _meaning(judge: Judge, is_given: bool) -> str:
    """What the reader must know of the discriminator to weigh its words."""
    card = judge.card
    named = "" if card.class_accuracy is None or is_given else f"\n{card.accuracy_in_words()}"
    return f"{printable(card.name)}: {scale_of(card, is_given).in_words()}{named}"
