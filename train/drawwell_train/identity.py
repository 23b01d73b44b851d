"""A configuration on disk, and which of two can be one run."""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from drawwell_train.config import TrainConfig, complete

_FREE_TO_CHANGE = {
    "data",
    "out",
    "name",
    "license",
    "steps",
    "device",
    "threads",
    "log_every",
    "sample_every",
    "save_every",
    "kid_every",
    "keep",
    "on_collapse",
    "tensorboard",
    "dry_run",
}
"""What a run may be continued with a new value of: none of these is part of what one step computes."""


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """What JSON holds of a configuration."""
    return asdict(config) | {"out": str(config.out)}


def from_dict(values: dict[str, Any]) -> TrainConfig:
    names = tuple(values.get("class_names", ()))
    return complete(TrainConfig(**values | {"out": Path(values["out"]), "class_names": names}))


def digest(config: TrainConfig) -> str:
    """SHA-256 of all that decides what a step computes, as 64 hex digits."""
    decisive = {name: value for name, value in asdict(complete(config)).items() if name not in _FREE_TO_CHANGE}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def differences(old: TrainConfig, new: TrainConfig) -> list[str]:
    """What keeps ``new`` from continuing a run of ``old``, in words."""
    old, new = complete(old), complete(new)
    names = [field.name for field in fields(TrainConfig) if field.name not in _FREE_TO_CHANGE]
    changed = [name for name in names if getattr(old, name) != getattr(new, name)]
    words = {"data_sha256": "it was trained on other images"}
    return [words.get(name, f"{name} was {getattr(old, name)}, is {getattr(new, name)}") for name in changed]
