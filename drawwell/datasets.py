"""Drawn images as data sets for training. torch is imported on the first use of ``TorchDataset``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawwell.torch_dataset import TorchDataset

__all__ = ["TorchDataset"]

if not TYPE_CHECKING:  # a type checker would take every name for one that there is

    def __getattr__(name: str) -> object:
        if name == "TorchDataset":
            from drawwell.torch_dataset import TorchDataset

            return TorchDataset
        raise AttributeError(f"module 'drawwell.datasets' has no attribute {name!r}")
