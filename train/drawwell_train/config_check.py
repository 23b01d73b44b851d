"""What makes no sense in a configuration, alone or together, each in a sentence."""

import math
from typing import TYPE_CHECKING

from drawwell_train.presets import CROSS_ENTROPIES, DIFFAUGMENT_POLICY, PRESETS, STD_GROUP, Preset

if TYPE_CHECKING:
    from drawwell_train.config import TrainConfig


def check(config: "TrainConfig", recipe: Preset) -> None:
    """Raise ``ValueError`` with a sentence for options that make no sense, alone or together."""
    for name in ("width", "batch_size", "d_steps", "penalty_every"):
        _at_least(1, name, getattr(recipe, name))
    for name in ("latent_dim", "steps", "g_steps", "pack", "log_every", "sample_every", "save_every", "keep"):
        _at_least(1, name, getattr(config, name))
    for name, optional in (
        ("threads", config.threads),
        ("d_width", recipe.d_width),
        ("max_megapixels", config.max_megapixels),
    ):
        if optional is not None:
            _at_least(1, name, optional)
    _at_least(0, "ema_halflife_images", recipe.ema_halflife_images)
    _at_least(0, "kid_every", config.kid_every)
    if not recipe.learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, not {recipe.learning_rate}")
    for name in ("r1", "r2", "consistency"):
        if not 0 <= (weight := getattr(recipe, name)) < math.inf:
            raise ValueError(f"{name} must be 0 or more, not {weight}")
    for name, value in (("beta1", recipe.beta1), ("label_smoothing", config.label_smoothing)):
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), not {value}")
    if not 0 <= config.max_bad <= 1:
        raise ValueError(f"max_bad is a share, from 0 to 1, not {config.max_bad}")
    if not 0 <= config.seed < 2**63:
        raise ValueError(f"seed must be in [0, 2**63), not {config.seed}")
    if config.size is not None and config.size not in recipe.sizes:
        raise ValueError(f"preset {config.preset} is for images of {_either(recipe.sizes)} px, not {config.size}")
    if not config.diffaugment and config.diffaugment_policy != DIFFAUGMENT_POLICY:
        raise ValueError("diffaugment_policy says what diffaugment changes: add diffaugment")
    if config.diffaugment and not config.diffaugment_policy:
        raise ValueError("diffaugment_policy names nothing to change: leave out diffaugment, or name a change")
    _check_networks(config, recipe)
    _check_batches(config, recipe)
    _check_loss(config, recipe)
    _check_penalties(config, recipe)


def _check_networks(config: "TrainConfig", recipe: Preset) -> None:
    widths = {"width": recipe.width, "d_width": recipe.d_width or recipe.width}
    for name, width in widths.items():
        if recipe.architecture == "deep-cnn" and width < 8:
            raise ValueError(
                f"{name} must be at least 8 for preset deep-cnn, whose last layers have an eighth of it, not {width}"
            )
    if config.spectral_norm and config.d_norm not in (None, "spectral"):
        raise ValueError(f"spectral_norm means d_norm spectral, you also gave d_norm {config.d_norm}: take one of them")
    if recipe.d_norm == "spectral" and recipe.clip_weights is not None:
        raise ValueError(
            f"preset {config.preset} clips the critic's weights, which spectral_norm would scale: take one of them"
        )
    if recipe.d_norm == "batch" and recipe.architecture not in ("dcgan", "sngan"):
        raise ValueError(
            f"d_norm batch works only with presets dcgan and sngan: the discriminator of {config.preset} has no place for it"
        )
    if config.minibatch_std and recipe.architecture != "sngan":
        raise ValueError(f"minibatch_std is of preset sngan, not of {config.preset}")


def _check_batches(config: "TrainConfig", recipe: Preset) -> None:
    if recipe.batch_size < 2:
        raise ValueError("batch_size must be at least 2: batch norm needs a batch")
    if recipe.batch_size % config.pack:
        raise ValueError(f"pack {config.pack} must divide batch_size {recipe.batch_size}")
    if config.minibatch_std and recipe.batch_size % (together := STD_GROUP * config.pack):
        raise ValueError(
            f"minibatch_std compares {together} images: batch_size {recipe.batch_size} is no multiple of it"
        )
    if config.pack > 1 and config.conditional:
        raise ValueError(
            "pack is against a lack of variety over all classes, conditional is within one: take one of them"
        )


def _check_loss(config: "TrainConfig", recipe: Preset) -> None:
    if (recipe.loss == "wasserstein") != (PRESETS[config.preset].loss == "wasserstein"):
        raise ValueError(
            f"loss {recipe.loss} does not work with preset {config.preset}: presets wgan and wgan-gp use wasserstein, all others "
            "another loss"
        )
    if config.label_smoothing and recipe.loss not in CROSS_ENTROPIES:
        raise ValueError(
            f"label_smoothing needs a loss with probabilities (non-saturating or minimax), not {recipe.loss}"
        )
    if config.beta1 and recipe.optimizer != "adam":
        raise ValueError(f"beta1 is Adam's, preset {config.preset} learns with RMSProp")


def _check_penalties(config: "TrainConfig", recipe: Preset) -> None:
    penalised = recipe.r1 or recipe.r2
    if penalised and recipe.loss == "wasserstein":
        raise ValueError(
            f"r1 and r2 do not work with preset {config.preset}, whose critic is clipped or penalised already: remove them"
        )
    if (penalised or recipe.penalty) and recipe.d_norm == "batch":
        raise ValueError(
            "a penalty of the gradient is of each image alone, and batch norm in the discriminator ties it to the others: use "
            "d_norm none or spectral"
        )
    if recipe.r1 and not recipe.r2 and recipe.loss == "relativistic":
        raise ValueError("r1 alone diverges with loss relativistic (Huang et al. 2024): add r2")
    if not penalised and (recipe.penalty_every != 1 or recipe.penalty_form != "exact"):
        raise ValueError("penalty_every and penalty_form are of r1 and r2, which are both 0")
    if recipe.penalty_form == "finite-difference" and recipe.architecture in ("cnn", "deep-cnn"):
        raise ValueError(
            f"penalty_form finite-difference does not work with preset {config.preset}, whose dropout changes the discriminator's "
            "output more than the noise does: use exact"
        )


def _at_least(least: int, name: str, value: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def _either(sizes: tuple[int, ...]) -> str:
    return " or ".join(map(str, sizes))
