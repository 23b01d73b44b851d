"""Formats of ``state.json`` in a checkpoint: this version's, and how older ones are read.

Format 1 had no number, and only the name of the preset. Format 2 has ``"format": 2`` and all fields of the preset, so that a preset
which changes later changes no run that began before.
"""

from typing import Any

from drawwell.errors import DrawwellError
from drawwell_train.config import TrainConfig
from drawwell_train.run.identity import from_dict

FORMAT = 2


class FormatError(DrawwellError):
    """A checkpoint is complete, but another version of drawwell wrote it; the message says what to do."""


def read_config(state: dict[str, Any]) -> TrainConfig:
    """The configuration in ``state``. Raises ``FormatError`` if this version does not know its format or an option in it."""
    number = state.get("format", 1)
    if number not in range(1, FORMAT + 1):
        raise FormatError(
            f"its format is {number}, and this version of drawwell reads formats 1 to {FORMAT}: use a newer version"
        )
    try:
        return from_dict(_from_format_1(state["config"]) if number == 1 else state["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"this version of drawwell does not know its options ({error}): use the version that wrote it"
        ) from error


def _from_format_1(config: dict[str, Any]) -> dict[str, Any]:
    """The same configuration in format 2. The first checkpoints of format 1 had only preset dcgan, and fewer options."""
    recipe = _COMMON_1 | _PRESETS_1[config.get("preset", "dcgan")]
    if config.pop("spectral_norm", False):
        recipe |= {"d_norm": "spectral"}
    return config | {
        "recipe": recipe,
        "d_norm": recipe["d_norm"],
        "diffaugment_policy": ["color", "translation", *(["cutout"] if config.get("diffaugment") else [])],
    }


_ALL_SIZES, _SMALL_SIZES = [28, 32, 64, 128], [28, 32]
_COMMON_1: dict[str, Any] = {
    "sizes": _ALL_SIZES,
    "width": 64,
    "d_width": None,
    "loss": "non-saturating",
    "optimizer": "rmsprop",
    "beta1": 0.0,
    "beta2": 0.999,
    "rho": 0.9,
    "epsilon": 1e-8,
    "discriminator_rate": 1.0,
    "decay_g": 0.0,
    "decay_d": 0.0,
    "batch_size": 64,
    "d_steps": 1,
    "clip_gradients": None,
    "clip_weights": None,
    "penalty": 0.0,
    "d_norm": "none",
    "one_pass": False,
    "r1": 0.0,
    "r2": 0.0,
    "penalty_every": 1,
    "penalty_form": "exact",
    "consistency": 0.0,
    "schedule": "constant",
    "ema_halflife_images": 10_000,
    "sigmoid": False,
    "prior": "normal",
}
_DEEP_CNN_1 = {"discriminator_rate": 2.0, "decay_g": 3e-8, "decay_d": 6e-8, "clip_gradients": 1.0, "sigmoid": True}
_DCGAN_1: dict[str, Any] = {"architecture": "dcgan", "d_norm": "batch"}
_CRITIC_1 = {"loss": "wasserstein", "d_steps": 5}
_PRESETS_1: dict[str, dict[str, Any]] = {
    "mlp": {
        "architecture": "mlp",
        "sizes": _SMALL_SIZES,
        "width": 100,
        "learning_rate": 1e-3,
        "epsilon": 1e-7,
        "sigmoid": True,
    },
    "cnn": {"architecture": "cnn", "sizes": _SMALL_SIZES, "learning_rate": 1e-3, "epsilon": 1e-7},
    "deep-cnn": {
        "architecture": "deep-cnn",
        "sizes": _SMALL_SIZES,
        "learning_rate": 4e-4,
        "epsilon": 1e-7,
        **_DEEP_CNN_1,
    },
    "dcgan": {**_DCGAN_1, "optimizer": "adam", "learning_rate": 2e-4, "beta1": 0.5},
    "wgan": {**_DCGAN_1, **_CRITIC_1, "learning_rate": 5e-5, "rho": 0.99, "clip_weights": 0.01},
    "wgan-gp": {
        **_DCGAN_1,
        **_CRITIC_1,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "beta2": 0.9,
        "penalty": 10.0,
        "d_norm": "none",
    },
}
"""The presets as they were when format 1 was written, which had only their names."""
