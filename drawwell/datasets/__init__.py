"""Drawn images as data sets for training jobs. torch, ``datasets`` and Ray are imported on the first use of a name that needs them.

Example:
    >>> dataset = drawwell.datasets.TorchDataset("fashion", seed=7, size=50_000)
    >>> len(dataset)
    50000
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawwell.datasets.huggingface import hugging_face
    from drawwell.datasets.join import concat, mixed
    from drawwell.datasets.map_style import TorchDataset
    from drawwell.datasets.ray_data import ray_dataset
    from drawwell.datasets.stream import TorchStream

__all__ = ["TorchDataset", "TorchStream", "concat", "hugging_face", "mixed", "ray_dataset"]

_MODULES = {
    "TorchDataset": "map_style",
    "TorchStream": "stream",
    "concat": "join",
    "hugging_face": "huggingface",
    "mixed": "join",
    "ray_dataset": "ray_data",
}

if not TYPE_CHECKING:  # a type checker would take every name for one that there is

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'drawwell.datasets' has no attribute {name!r}")
        return getattr(importlib.import_module(f"drawwell.datasets.{_MODULES[name]}"), name)
