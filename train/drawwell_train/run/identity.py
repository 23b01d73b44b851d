"""A configuration as JSON, and whether two configurations can be one run."""

import hashlib
import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from drawwell_train.config import TrainConfig
from drawwell_train.options import TrainOptions
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
    "watch",
    "dry_run",
}
"""Options that a continued run may change: none of them is part of what one step computes."""
_CLASSES_SHOWN = 12
"""Classes named in a sentence."""

_PRESET_FIELDS = [field.name for field in fields(Preset)]
_PRESET_ALONE = set(_PRESET_FIELDS) - {field.name for field in fields(TrainOptions)}
"""Fields that no option sets."""
_DEFAULTS = {
    field.name: field.default
    for field in (*fields(TrainOptions), *fields(Preset))
    if field.default is not MISSING and field.name != "spectral_norm"
}


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """A configuration as JSON holds it: the options, and below ``recipe`` all fields of the preset, with the options in their place."""
    options = {name: value for name, value in vars(config).items() if name not in _PRESET_ALONE}
    recipe = {name: getattr(config, name) for name in _PRESET_FIELDS}
    return options | {"out": str(config.out), "spectral_norm": False, "recipe": recipe}


def from_dict(values: dict[str, Any]) -> TrainConfig:
    """The inverse of ``to_dict``. Options that ``values`` lacks or that are null are those of ``recipe``, or defaults.

    Raises:
        TypeError: an option is unknown, or one without default is missing.
        KeyError: a preset is unknown.
        ValueError: options do not work together.
    """
    options = {name: value for name, value in values.items() if name not in ("recipe", "spectral_norm")}
    options = {name: value for name, value in options.items() if value is not None}
    known = _DEFAULTS | {"class_names": (), "data_sha256": ""} | values["recipe"] | options
    lists = {name: tuple(known[name]) for name in ("class_names", "diffaugment_policy", "sizes")}
    return TrainConfig(**known | lists | {"out": Path(values["out"])})


def digest(config: TrainConfig) -> str:
    """SHA-256 of all that decides what a step computes, the whole preset too, as 64 hex digits."""
    decisive = {name: value for name, value in to_dict(config).items() if name not in _free_to_change(config)}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _free_to_change(config: TrainConfig) -> set[str]:
    return _FREE_TO_CHANGE - ({"steps"} if config.schedule == "linear" else set())


def differences(old: TrainConfig, new: TrainConfig) -> list[str]:
    """Why ``new`` cannot continue a run of ``old``: a phrase for each difference, none where it can."""
    free = _free_to_change(old) & _free_to_change(new)
    words = {
        "data_sha256": "it was trained on other images",
        "class_names": f"its classes were {_listed(old.class_names)}, are {_listed(new.class_names)}",
        "steps": f"steps was {old.steps}, is {new.steps}, and its learning rate falls to 0 at the last one (--schedule linear)",
    }
    if old.diffaugment:
        policy = " ".join(old.diffaugment_policy)
        words["diffaugment_policy"] = f"its augmentation is another, --diffaugment-policy {policy} continues it"
    return [words.get(name, _changed(name, old, new)) for name in _different(old, new) if name not in free]


def _different(old: TrainConfig, new: TrainConfig) -> list[str]:
    """Names of the fields that differ: options first, then fields of the preset alone."""
    names = [field.name for field in fields(old) if getattr(old, field.name) != getattr(new, field.name)]
    return sorted(names, key=lambda name: name in _PRESET_ALONE)


def _changed(name: str, old: TrainConfig, new: TrainConfig) -> str:
    where = f"{name} of preset {new.preset}: " if name in _PRESET_ALONE else ""
    return f"{where}{name} was {getattr(old, name)}, is {getattr(new, name)}"


def _listed(names: tuple[str, ...]) -> str:
    return (", ".join(map(repr, names[:_CLASSES_SHOWN])) + (", ..." if len(names) > _CLASSES_SHOWN else "")) or "none"
