"""A configuration on disk, and which of two can be one run."""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from drawwell_train.config import OVERRIDES, TrainConfig, complete, recipe_of
from drawwell_train.presets import Preset

_FREE_TO_CHANGE = {
    "data",
    "max_bad",
    "max_megapixels",
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
_SHOWN = 12
"""Classes named in a sentence."""


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """What JSON holds of a configuration, with the whole preset."""
    return asdict(complete(config)) | {"out": str(config.out)}


def from_dict(values: dict[str, Any]) -> TrainConfig:
    """The inverse. Raises ``TypeError`` or ``ValueError`` for options that are none."""
    lists = {name: tuple(values.get(name, ())) for name in ("class_names", "diffaugment_policy")}
    recipe = values["recipe"]
    preset = Preset(**recipe | {"sizes": tuple(recipe["sizes"])})
    return complete(TrainConfig(**values | lists | {"out": Path(values["out"]), "recipe": preset}))


def digest(config: TrainConfig) -> str:
    """SHA-256 of all that decides what a step computes, the whole preset too, as 64 hex digits."""
    config = complete(config)
    decisive = {name: value for name, value in asdict(config).items() if name not in _free_to_change(config)}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _free_to_change(config: TrainConfig) -> set[str]:
    return _FREE_TO_CHANGE - ({"steps"} if recipe_of(config).schedule == "linear" else set())


def differences(old: TrainConfig, new: TrainConfig) -> list[str]:
    """What keeps ``new`` from continuing a run of ``old``, in words."""
    old, new = complete(old), complete(new)
    free = _free_to_change(old) & _free_to_change(new) | {"recipe"}
    words = {
        "data_sha256": "it was trained on other images",
        "class_names": f"its classes were {_listed(old.class_names)}, are {_listed(new.class_names)}",
        "steps": f"steps was {old.steps}, is {new.steps}, and its learning rate falls to 0 at the last one (--schedule linear)",
    }
    if old.diffaugment:
        policy = " ".join(old.diffaugment_policy)
        words["diffaugment_policy"] = f"its augmentation is another, --diffaugment-policy {policy} continues it"
    changed = [words.get(name, text) for name, text in _changed(old, new) if name not in free]
    assert old.recipe is not None and new.recipe is not None, "both are complete"
    return changed + [
        f"{name} of preset {new.preset}: {text}"
        for name, text in _changed(old.recipe, new.recipe)
        if name not in OVERRIDES
    ]


def _listed(names: tuple[str, ...]) -> str:
    return (", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")) or "none"


def _changed(old: TrainConfig | Preset, new: TrainConfig | Preset) -> list[tuple[str, str]]:
    """The name of each field that differs, and how, in words."""
    names = [field.name for field in fields(old) if getattr(old, field.name) != getattr(new, field.name)]
    return [(name, f"{name} was {getattr(old, name)}, is {getattr(new, name)}") for name in names]
