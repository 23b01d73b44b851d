"""Discriminator files: a graph that judges images, with a card that says what its logits mean, sealed.

The input is ``images`` uint8 ``[N, H, W, C]``, the output ``logit`` float32 ``[N]``. With classes there is a second input, ``label``
int64 ``[N]``, where -1 stands for the most likely class, and a second output, ``class_scores`` float32 ``[N, K]``.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from drawwell.errors import GeneratorFileError
from drawwell.files.card import ModelCard
from drawwell.files.card import card_from_json as card_of_generator
from drawwell.files.card_json import kind_of
from drawwell.files.discriminator_card import DiscriminatorCard, card_from_json
from drawwell.files.sealed_file import SealedFile, read_sealed, seal_with
from drawwell.text import printable

if TYPE_CHECKING:
    import onnx

DiscriminatorFile = SealedFile[DiscriminatorCard]
"""A checked discriminator file: its bytes, their SHA-256 in hex and its card."""


def read_discriminator(path: Path) -> DiscriminatorFile:
    """Read and check a discriminator file, as ``read_sealed`` does. Raises ``GeneratorFileError``."""
    return read_sealed(path, "discriminator", card_from_json)


def read_either(path: Path) -> SealedFile[ModelCard | DiscriminatorCard]:
    """Read and check a generator or a discriminator file, as ``read_sealed`` does. Raises ``GeneratorFileError``."""

    def either(text: str) -> ModelCard | DiscriminatorCard:
        return card_from_json(text) if kind_of(text) == "discriminator" else card_of_generator(text)

    return read_sealed(path, "generator", either)


def seal(model: "onnx.ModelProto", card: DiscriminatorCard) -> bytes:
    """Return the bytes of a discriminator file: ``model``, changed in place, with its card. Raises as ``seal_with`` does."""
    return seal_with(model, msgspec.json.encode(card))


def check_belongs(card: DiscriminatorCard, file: Path, generator: str) -> None:
    """Raise ``GeneratorFileError`` unless ``file``, with this card, judges for the generator with the digest ``generator``."""
    if card.generator != generator:
        raise GeneratorFileError(
            f"{printable(file)}: belongs to the generator {card.generator[:12]}, and this is {generator[:12]}: "
            "export the run again, which writes both"
        )


def discriminator_beside(generator: Path) -> Path:
    """The name of the discriminator of a generator file: ``discriminator.onnx`` for ``generator.onnx``.

    A name without the word generator gets one: ``cats-discriminator.onnx`` for ``cats.onnx``.
    """
    stem, word = generator.stem, "discriminator"
    named = stem.replace("generator", word, 1) if "generator" in stem else f"{stem}-{word}"
    return generator.with_name(f"{named}{generator.suffix}")


def remove_stale(generator: Path, digest: str) -> Path | None:
    """Remove the discriminator beside a generator file that was just written, unless it belongs to it. Return what was removed."""
    file = discriminator_beside(generator)
    try:
        if not file.is_file() or read_discriminator(file).card.generator == digest:
            return None
    except GeneratorFileError:  # it is no whole file of ours, so nothing takes it for one
        return None
    file.unlink()
    return file
