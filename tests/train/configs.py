"""Configurations for tests."""

from pathlib import Path
from typing import Any

from drawwell_train.config import TrainConfig
from drawwell_train.options import TrainOptions, resolved

_DEFAULTS: dict[str, Any] = {
    "data": "digits",
    "out": Path("x"),
    "size": 28,
    "channels": 1,
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
}


def configured(**options: Any) -> TrainConfig:
    """A resolved configuration: of grey images of 28 px on one thread, unless ``options`` say otherwise; they may have class names."""
    class_names = options.pop("class_names", ())
    return resolved(TrainOptions(**_DEFAULTS | options), class_names=class_names)
