"""drawwell is a well of images: ``image = generator(model, seed, index)``, the same bytes every time.

Example:
    >>> import drawwell
    >>> with drawwell.open("fashion") as generator:  # a bundled generator, a file, or the URL of a server
    ...     batch = generator.generate(seed=7, count=64)
    >>> batch.images.shape, batch.images.dtype
    ((64, 28, 28, 1), dtype('uint8'))
"""

import importlib
import warnings
from typing import TYPE_CHECKING

from drawwell.errors import (
    DeviceMemoryError,
    DrawwellError,
    GeneratorFileError,
    PictureError,
    ProviderError,
    RequestError,
    ResponseError,
    SelectionError,
    ServerError,
    StoppedError,
    UnavailableError,
    UnreachableError,
    WriteError,
)
from drawwell.opening import open_generator as open  # noqa: A004 - as PIL.Image.open, it is never imported by its bare name

if TYPE_CHECKING:
    from drawwell import datasets
    from drawwell.addresses.arguments import Indices
    from drawwell.engine.engine import Engine
    from drawwell.engine.judge import Judge
    from drawwell.engine.judgement import Judgement
    from drawwell.engine.onnx_session import Provider
    from drawwell.files.budgets import LabelBudgets
    from drawwell.files.card import ModelCard
    from drawwell.files.labels import LabelChoice
    from drawwell.files.selection import Selection, read_selection
    from drawwell.generator import Batch, ImageGenerator, Images
    from drawwell.http.async_client import AsyncClient
    from drawwell.http.client import Client

    Generator = ImageGenerator  # the old name

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "DeviceMemoryError",
    "DrawwellError",
    "Engine",
    "GeneratorFileError",
    "ImageGenerator",
    "Images",
    "Indices",
    "Judge",
    "Judgement",
    "LabelBudgets",
    "LabelChoice",
    "ModelCard",
    "PictureError",
    "Provider",
    "ProviderError",
    "RequestError",
    "ResponseError",
    "Selection",
    "SelectionError",
    "ServerError",
    "StoppedError",
    "UnavailableError",
    "UnreachableError",
    "WriteError",
    "datasets",
    "open",
    "read_selection",
]

_MODULES = {
    "AsyncClient": "drawwell.http.async_client",
    "Batch": "drawwell.generator",
    "Client": "drawwell.http.client",
    "Engine": "drawwell.engine.engine",
    "ImageGenerator": "drawwell.generator",
    "Images": "drawwell.generator",
    "Indices": "drawwell.addresses.arguments",
    "Judge": "drawwell.engine.judge",
    "Judgement": "drawwell.engine.judgement",
    "LabelBudgets": "drawwell.files.budgets",
    "LabelChoice": "drawwell.files.labels",
    "ModelCard": "drawwell.files.card",
    "Provider": "drawwell.engine.onnx_session",
    "Selection": "drawwell.files.selection",
    "read_selection": "drawwell.files.selection",
}
"""The public names that are imported on first use (PEP 562), so that ``import drawwell`` stays light."""
_RENAMED = {"Generator": "ImageGenerator"}
"""Old names and the new ones. An old name works for one more version, with a warning."""

if not TYPE_CHECKING:  # a type checker would take every name for one that there is

    def __getattr__(name: str) -> object:
        if name == "datasets":
            return importlib.import_module("drawwell.datasets")
        if name in _RENAMED:
            new = _RENAMED[name]
            warnings.warn(f"drawwell.{name} is now drawwell.{new}: change the name", DeprecationWarning, stacklevel=2)
            name = new
        if name in _MODULES:
            return getattr(importlib.import_module(_MODULES[name]), name)
        raise AttributeError(f"module 'drawwell' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
