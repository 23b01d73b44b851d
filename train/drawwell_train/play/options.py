"""The options of a training: what a person may choose, and the configuration that the trainer's own step wants."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from drawwell.addresses.latents import Prior
from drawwell.errors import RequestError
from drawwell_train.config import TrainConfig
from drawwell_train.options import TrainOptions, resolved
from drawwell_train.presets import PRESETS, Loss, PresetName

Data = Literal["ring", "grid", "clusters", "images", "product"]
"""Distributions of points, the images that the command names, and the game V(x, y) = x y."""
PlayPreset = Literal["mlp", "dcgan"]
"""Networks for images; points have those of mlp."""


@dataclass(frozen=True)
class PlayOptions:
    """What a training depends on. The defaults find all eight modes of the ring within some 500 steps."""

    data: Data = "ring"
    preset: PlayPreset = "dcgan"
    loss: Loss = "non-saturating"
    rate_d: float = 0.005
    rate_g: float = 0.002
    d_steps: int = 1
    g_steps: int = 1
    prior: Prior = "normal"
    label_smoothing: float = 0.0
    pack: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Choice:
    """An option that has one of a few values, by value: the words for it."""

    label: str
    values: Mapping[Any, str]
    resets: bool


@dataclass(frozen=True)
class Number:
    """An option that is a number of [``least``, ``most``]; a whole one where ``step`` is an integer."""

    label: str
    least: float
    most: float
    step: float | Literal["any"]
    resets: bool


LATENT_DIM, WIDTH, BATCH_SIZE = 4, 64, 128
"""Of a training in the plane: small enough for some hundred steps a second on one core."""
IMAGE_SIZES = 28, 32
"""In pixels: those that all networks for images support."""
IMAGE_LATENT_DIM, IMAGE_BATCH_SIZE = 32, 32
IMAGE_WIDTHS: dict[PlayPreset, int] = {"mlp": 64, "dcgan": 12}
"""Of a training on images: small enough for some ten steps a second on one core."""

_NETWORK_RATES = {
    "points": (PlayOptions.rate_d, PlayOptions.rate_g),
    "product": (0.05, 0.05),
    "mlp": (1e-3, 1e-3),
    "dcgan": (5e-4, 5e-4),
}
"""Learning rates of D and G. Narrow networks bear a higher one than those of ``drawwell train``."""

_LOSSES = {loss: loss for loss in get_args(Loss)}

CONTROLS: dict[str, Choice | Number] = {
    "data": Choice(
        "Data",
        {
            "ring": "ring of 8 Gaussians",
            "grid": "grid of 25 Gaussians",
            "clusters": "two clusters",
            "images": "images",
            "product": "no data: the game x·y",
        },
        resets=True,
    ),
    "preset": Choice(
        "Networks for images", {"dcgan": "dcgan: convolutions", "mlp": "mlp: fully connected"}, resets=True
    ),
    "loss": Choice("Loss", _LOSSES, resets=False),
    "rate_d": Number("Learning rate of D", 1e-6, 1, "any", resets=False),
    "rate_g": Number("Learning rate of G", 1e-6, 1, "any", resets=False),
    "d_steps": Number("D updates per step", 1, 50, 1, resets=False),
    "g_steps": Number("G updates per step", 1, 50, 1, resets=False),
    "prior": Choice("Prior of z", {"normal": "normal", "uniform": "uniform"}, resets=True),
    "label_smoothing": Number("Label smoothing", 0, 0.5, 0.05, resets=False),
    "pack": Choice("Samples that D sees together (packing)", {1: "1", 2: "2", 4: "4"}, resets=True),
    "seed": Number("Seed", 0, 2**31 - 1, 1, resets=True),
}
"""Of each option: its words, its values, and whether a training must begin anew for it."""


def read_options(given: Mapping[str, object]) -> PlayOptions:
    """Return options from what a page sent; what it left out has its default. Raises ``RequestError`` for what cannot be trained."""
    if unknown := given.keys() - CONTROLS.keys():
        raise RequestError(f"there is no option {min(unknown)!r}; the options are {', '.join(CONTROLS)}")
    for name, value in given.items():
        _check(name, value)
    options = PlayOptions(**given)  # type: ignore[arg-type]
    if options.data != "product":
        (config_of_images if options.data == "images" else config_of_plane)(options)
    return options


def needs_reset(before: PlayOptions, after: PlayOptions) -> bool:
    """Whether a training must begin anew to have other options: for a critic, images need other networks and optimizers."""
    changed = {one.name for one in fields(PlayOptions) if getattr(before, one.name) != getattr(after, one.name)}
    is_other_critic = (before.loss == "wasserstein") != (after.loss == "wasserstein") and after.data == "images"
    return is_other_critic or any(CONTROLS[name].resets for name in changed)


def with_rates(options: PlayOptions, before: PlayOptions | None = None) -> PlayOptions:
    """Return options with the learning rates that suit their networks, unless these are those of ``before`` or other rates were chosen
    together with them."""
    if before and (_networks_of(before) == _networks_of(options) or _rates_of(before) != _rates_of(options)):
        return options
    rate_d, rate_g = _NETWORK_RATES[_networks_of(options)]
    return replace(options, rate_d=rate_d, rate_g=rate_g)


def _rates_of(options: PlayOptions) -> tuple[float, float]:
    return options.rate_d, options.rate_g


def _networks_of(options: PlayOptions) -> str:
    return options.preset if options.data == "images" else options.data if options.data == "product" else "points"


def config_of_plane(options: PlayOptions) -> TrainConfig:
    """Return the configuration of preset mlp for points of the unit square: images of two channels and one pixel.

    Adam has the momenta of the WGAN-GP literature's small experiments, 0.5 and 0.9. The Wasserstein critic has a gradient penalty of
    weight 1: a unit square is small, and 10 holds the critic so flat that G waits for it.

    Raises:
        RequestError: options do not work together.
    """
    plane = {"size": 1, "sizes": (1,), "channels": 2, "architecture": "mlp", "sigmoid": True}
    optimizer = {"optimizer": "adam", "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-8}
    penalty = {"penalty": 1.0 if options.loss == "wasserstein" else 0.0}
    return _config(options, "mlp", LATENT_DIM, WIDTH, BATCH_SIZE, **plane, **optimizer, **penalty)


def config_of_images(options: PlayOptions, size: int = 28, channels: int = 1) -> TrainConfig:
    """Return the configuration of the preset for images of ``size`` pixels, with narrow networks. With the Wasserstein loss its networks
    have the optimizers and the gradient penalty of wgan-gp.

    Raises:
        RequestError: options do not work together.
    """
    preset = PRESETS[options.preset]
    networks = {"size": size, "channels": channels, "architecture": preset.architecture, "sigmoid": preset.sigmoid}
    width = IMAGE_WIDTHS[options.preset]
    return _config(options, options.preset, IMAGE_LATENT_DIM, width, IMAGE_BATCH_SIZE, **networks)


def _config(
    options: PlayOptions, preset: PresetName, latent_dim: int, width: int, batch_size: int, **decided: object
) -> TrainConfig:
    try:
        chosen = TrainOptions(
            data=options.data,
            preset="wgan-gp" if options.loss == "wasserstein" else preset,
            loss=options.loss,
            prior=options.prior,
            label_smoothing=options.label_smoothing,
            pack=options.pack,
            seed=options.seed,
            latent_dim=latent_dim,
            width=width,
            batch_size=batch_size,
            d_steps=options.d_steps,
            g_steps=options.g_steps,
            learning_rate=options.rate_g,
        )
        rate = options.rate_d / options.rate_g
        return resolved(chosen, device="cpu", precision="float32", discriminator_rate=rate, **decided)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _check(name: str, value: object) -> None:
    control = CONTROLS[name]
    if isinstance(control, Choice):
        if not any(value == one and type(value) is type(one) for one in control.values):
            raise RequestError(f"{control.label} must be one of {', '.join(map(str, control.values))}, not {value!r}")
        return
    is_whole = isinstance(control.step, int)
    if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
        raise RequestError(f"{control.label} must be a {'whole ' if is_whole else ''}number, not {value!r}")
    if not control.least <= value <= control.most:
        raise RequestError(f"{control.label} must be from {control.least:g} to {control.most:,}, not {value!r}")
