"""The resolved configuration of a training run: one frozen dataclass in which every value is decided."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drawwell.addresses.latents import Prior
from drawwell_train.presets import (
    CROSS_ENTROPIES,
    DIFFAUGMENT_POLICY,
    PRESETS,
    STD_GROUP,
    Architecture,
    Change,
    Loss,
    Norm,
    Optimizer,
    PenaltyForm,
    PresetName,
    Schedule,
)

ImageSize = Literal[28, 32, 64, 128]

MAX_BAD = 0.01
"""Default share of a folder's pictures that may be unreadable. More suggest that something else is wrong with the folder."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All that a run depends on. ``options.TrainOptions`` and ``presets.Preset`` document the fields.

    Raises:
        ValueError: values do not work, alone or together.
    """

    # the data
    data: str
    data_sha256: str
    size: ImageSize
    channels: Literal[1, 3]
    class_names: tuple[str, ...]
    conditional: bool
    flip: bool
    max_bad: float
    max_megapixels: int | None
    name: str
    license: str

    # the networks
    preset: PresetName
    sizes: tuple[int, ...]
    architecture: Architecture
    width: int
    d_width: int | None
    d_norm: Norm
    minibatch_std: bool
    pack: int
    latent_dim: int
    prior: Prior
    sigmoid: bool

    # the loss and its penalties
    loss: Loss
    label_smoothing: float
    penalty: float
    r1: float
    r2: float
    penalty_every: int
    penalty_form: PenaltyForm
    consistency: float
    one_pass: bool
    diffaugment: bool
    diffaugment_policy: tuple[Change, ...]

    # the steps
    steps: int
    batch_size: int
    d_steps: int
    g_steps: int
    optimizer: Optimizer
    learning_rate: float
    discriminator_rate: float
    beta1: float
    beta2: float
    rho: float
    epsilon: float
    schedule: Schedule
    decay_g: float
    decay_d: float
    clip_gradients: float | None
    clip_weights: float | None
    ema_halflife_images: int
    seed: int

    # the machine, and what is written
    device: Literal["cpu", "cuda"]
    precision: Literal["float32", "bfloat16"]
    threads: int
    out: Path
    log_every: int
    sample_every: int
    save_every: int
    kid_every: int
    keep: int
    on_collapse: Literal["stop", "warn"]
    tensorboard: bool
    dry_run: bool

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_data(self)
        _check_networks(self)
        _check_batches(self)
        _check_loss(self)
        _check_penalties(self)

    @property
    def images_per_step(self) -> int:
        """Real images that D sees in one step: the unit of "images seen" everywhere."""
        return self.d_steps * self.batch_size


def _check_numbers(config: TrainConfig) -> None:
    for name in ("width", "batch_size", "d_steps", "penalty_every", "latent_dim", "steps", "g_steps", "pack"):
        _at_least(1, name, getattr(config, name))
    for name in ("threads", "log_every", "sample_every", "save_every", "keep"):
        _at_least(1, name, getattr(config, name))
    for name in ("d_width", "max_megapixels"):
        if (optional := getattr(config, name)) is not None:
            _at_least(1, name, optional)
    for name in ("ema_halflife_images", "kid_every"):
        _at_least(0, name, getattr(config, name))
    if not config.learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, not {config.learning_rate}")
    for name in ("r1", "r2", "consistency"):
        if not 0 <= (weight := getattr(config, name)) < math.inf:
            raise ValueError(f"{name} must be 0 or more, not {weight}")
    for name in ("beta1", "label_smoothing"):
        if not 0 <= (value := getattr(config, name)) < 1:
            raise ValueError(f"{name} must be in [0, 1), not {value}")
    if not 0 <= config.seed < 2**63:
        raise ValueError(f"seed must be in [0, 2**63), not {config.seed}")


def _check_data(config: TrainConfig) -> None:
    if not 0 <= config.max_bad <= 1:
        raise ValueError(f"max_bad is a share, from 0 to 1, not {config.max_bad}")
    if config.size not in config.sizes:
        sizes = " or ".join(map(str, config.sizes))
        raise ValueError(f"preset {config.preset} is for images of {sizes} px, not {config.size}")
    if not config.diffaugment and config.diffaugment_policy != DIFFAUGMENT_POLICY:
        raise ValueError("diffaugment_policy has no effect without diffaugment: add diffaugment")
    if config.diffaugment and not config.diffaugment_policy:
        raise ValueError("diffaugment_policy is empty: name an augmentation, or remove diffaugment")


def _check_networks(config: TrainConfig) -> None:
    widths = {"width": config.width, "d_width": config.d_width or config.width}
    for name, width in widths.items():
        if config.architecture == "deep-cnn" and width < 8:
            raise ValueError(
                f"{name} must be at least 8 for preset deep-cnn, whose last layers have an eighth of it, not {width}"
            )
    if config.d_norm == "spectral" and config.clip_weights is not None:
        raise ValueError(
            f"preset {config.preset} clips the critic's weights, and spectral_norm would rescale them: remove spectral_norm, or "
            "use another preset"
        )
    if config.d_norm == "batch" and config.architecture not in ("dcgan", "sngan"):
        raise ValueError(
            f"d_norm batch works only with presets dcgan and sngan: the discriminator of {config.preset} has no batch norm"
        )
    if config.minibatch_std and config.architecture != "sngan":
        raise ValueError(f"minibatch_std works only with presets sngan and rpgan, not with {config.preset}")


def _check_batches(config: TrainConfig) -> None:
    if config.batch_size < 2:
        raise ValueError(f"batch_size must be at least 2 for batch norm, not {config.batch_size}")
    if config.batch_size % config.pack:
        raise ValueError(f"pack {config.pack} must divide batch_size {config.batch_size}")
    if config.minibatch_std and config.batch_size % (group := STD_GROUP * config.pack):
        raise ValueError(
            f"minibatch_std compares groups of {group} images: batch_size must be a multiple of {group}, not {config.batch_size}"
        )
    if config.pack > 1 and config.conditional:
        raise ValueError(
            "pack and conditional do not work together: images of one input of D would have different labels; remove one of them"
        )


def _check_loss(config: TrainConfig) -> None:
    if (config.loss == "wasserstein") != (PRESETS[config.preset].loss == "wasserstein"):
        raise ValueError(
            f"loss {config.loss} does not work with preset {config.preset}: presets wgan and wgan-gp need wasserstein, all "
            "others need another loss"
        )
    if config.label_smoothing and config.loss not in CROSS_ENTROPIES:
        raise ValueError(
            f"label_smoothing works only with loss non-saturating or minimax, whose outputs are probabilities, not with {config.loss}"
        )
    if config.beta1 and config.optimizer != "adam":
        raise ValueError(f"beta1 works only with Adam, and preset {config.preset} uses RMSProp: remove beta1")


def _check_penalties(config: TrainConfig) -> None:
    penalised = config.r1 or config.r2
    if penalised and config.loss == "wasserstein":
        raise ValueError(
            f"r1 and r2 do not work with preset {config.preset}, whose critic is clipped or penalised already: remove them"
        )
    if (penalised or config.penalty) and config.d_norm == "batch":
        raise ValueError(
            "a gradient penalty needs the gradient of each image alone, and batch norm in the discriminator mixes the images: use "
            "d_norm none or spectral"
        )
    if config.r1 and not config.r2 and config.loss == "relativistic":
        raise ValueError("r1 alone diverges with loss relativistic (Huang et al. 2024): add r2")
    if not penalised and (config.penalty_every != 1 or config.penalty_form != "exact"):
        raise ValueError("penalty_every and penalty_form have no effect while r1 and r2 are 0: set r1 or r2")
    if config.architecture in ("cnn", "deep-cnn"):
        _check_beside_dropout(config)


def _check_beside_dropout(config: TrainConfig) -> None:
    """Both compare outputs of D for nearly the same images."""
    why = f"does not work with preset {config.preset}, whose dropout changes the discriminator's output more than"
    if config.penalty_form == "finite-difference":
        raise ValueError(f"penalty_form finite-difference {why} the noise does: use exact")
    if config.consistency:
        raise ValueError(f"consistency {why} a shift does: use another preset")


def _at_least(least: int, name: str, value: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
