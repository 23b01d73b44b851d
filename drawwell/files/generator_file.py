"""Generator files: a graph that draws, with a model card, sealed."""

from pathlib import Path
from typing import TYPE_CHECKING

from drawwell.files.card import ModelCard, card_from_json, card_to_json
from drawwell.files.sealed_file import SealedFile, read_sealed, seal_with

if TYPE_CHECKING:
    import onnx

GeneratorFile = SealedFile[ModelCard]
"""A checked generator file: its bytes, their SHA-256 in hex (the model digest) and its card."""


def read_generator(path: Path) -> GeneratorFile:
    """Read and check a generator file, as ``read_sealed`` does. Raises ``GeneratorFileError``."""
    return read_sealed(path, "generator", card_from_json)


def seal(model: "onnx.ModelProto", card: ModelCard) -> bytes:
    """Return the bytes of a generator file: ``model``, changed in place, with its card. Raises as ``seal_with`` does."""
    return seal_with(model, card_to_json(card))
