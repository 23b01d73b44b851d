"""drawwell is a well of images: ``image = generator(model, seed, index)``, the same bytes every time.

import drawwell

generator = drawwell.open("fashion")  # a bundled generator, a file, or a server's URL
batch = generator.generate(seed=7, count=64)  # batch.images: uint8 [64, H, W, C]
"""

import importlib
from typing import TYPE_CHECKING, Any

from drawwell.errors import (
    DrawwellError,
    GeneratorFileError,
    ProviderError,
    RequestError,
    ResponseError,
    ServerError,
    UnavailableError,
    UnreachableError,
)
from drawwell.opening import open_generator as open  # noqa: A004 - as PIL.Image.open, it is never imported by its bare name

if TYPE_CHECKING:
    from drawwell import datasets
    from drawwell.files.card import ModelCard
    from drawwell.generator import Batch, ImageGenerator

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "DrawwellError",
    "GeneratorFileError",
    "ImageGenerator",
    "ModelCard",
    "ProviderError",
    "RequestError",
    "ResponseError",
    "ServerError",
    "UnavailableError",
    "UnreachableError",
    "datasets",
    "open",
]

_LAZY = {"Batch": "drawwell.generator", "ImageGenerator": "drawwell.generator", "ModelCard": "drawwell.files.card"}


def __getattr__(name: str) -> Any:
    """Import on first use what is not needed to draw (PEP 562)."""
    if name == "datasets":
        return importlib.import_module("drawwell.datasets")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'drawwell' has no attribute {name!r}")
