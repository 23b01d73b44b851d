"""The options of a training in the plane: what a person may choose, and the configuration that the trainer's own step wants."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from drawwell.addresses.latents import Prior
from drawwell.errors import RequestError
from drawwell_train.config import TrainConfig
from drawwell_train.options import TrainOptions, resolved
from drawwell_train.presets import Loss

Data = Literal["ring", "grid", "clusters", "product"]
"""Distributions of points, and the game V(x, y) = x y."""


@dataclass(frozen=True)
class PlayOptions:
    """What a training in the plane depends on. The defaults find all eight modes of the ring within some 500 steps."""

    data: Data = "ring"
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
"""Small enough for some hundred steps a second on one core."""

_LOSSES = {loss: loss for loss in get_args(Loss)}

CONTROLS: dict[str, Choice | Number] = {
    "data": Choice(
        "Data",
        {
            "ring": "ring of 8 Gaussians",
            "grid": "grid of 25 Gaussians",
            "clusters": "two clusters",
            "product": "no data: the game x·y",
        },
        resets=True,
    ),
    "loss": Choice("Loss", _LOSSES, resets=False),
    "rate_d": Number("Learning rate of D", 1e-6, 1, "any", resets=False),
    "rate_g": Number("Learning rate of G", 1e-6, 1, "any", resets=False),
    "d_steps": Number("D updates per step", 1, 50, 1, resets=False),
    "g_steps": Number("G updates per step", 1, 50, 1, resets=False),
    "prior": Choice("Prior of z", {"normal": "normal", "uniform": "uniform"}, resets=True),
    "label_smoothing": Number("Label smoothing", 0, 0.5, 0.05, resets=False),
    "pack": Choice("Points that D sees together (packing)", {1: "1", 2: "2", 4: "4"}, resets=True),
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
        config_of(options)
    return options


def needs_reset(before: PlayOptions, after: PlayOptions) -> bool:
    """Whether a training must begin anew to have other options."""
    changed = {one.name for one in fields(PlayOptions) if getattr(before, one.name) != getattr(after, one.name)}
    return any(CONTROLS[name].resets for name in changed)


def config_of(options: PlayOptions) -> TrainConfig:
    """Return the configuration of preset mlp for points of the unit square: images of two channels and one pixel.

    Adam has the momenta of the WGAN-GP literature's small experiments, 0.5 and 0.9. The Wasserstein critic has a gradient penalty of
    weight 1: a unit square is small, and 10 holds the critic so flat that G waits for it.

    Raises:
        RequestError: options do not work together.
    """
    try:
        return _config(options)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _config(options: PlayOptions) -> TrainConfig:
    is_critic = options.loss == "wasserstein"
    chosen = TrainOptions(
        data="points",
        preset="wgan-gp" if is_critic else "mlp",
        loss=options.loss,
        prior=options.prior,
        label_smoothing=options.label_smoothing,
        pack=options.pack,
        seed=options.seed,
        latent_dim=LATENT_DIM,
        width=WIDTH,
        batch_size=BATCH_SIZE,
        d_steps=options.d_steps,
        g_steps=options.g_steps,
        learning_rate=options.rate_g,
    )
    plane = {"size": 1, "sizes": (1,), "channels": 2, "architecture": "mlp", "sigmoid": True}
    optimizer = {"optimizer": "adam", "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-8}
    rates = {"discriminator_rate": options.rate_d / options.rate_g, "penalty": 1.0 if is_critic else 0.0}
    return resolved(chosen, device="cpu", precision="float32", **plane, **optimizer, **rates)


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
