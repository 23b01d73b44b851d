"""From a checkpoint to its ONNX graph, which is a whole plain file or one member of a mixture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from drawwell.files.card import Target, Training
from drawwell_export import graph, parity
from drawwell_export.quantise import CALIBRATION_IMAGES, brightest, calibrate, quantise
from drawwell_export.targets import RECIPES, Recipe
from drawwell_train.networks.base import Discriminator, GeneratorNetwork
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.run.identity import digest
from drawwell_train.step.state import load_discriminator, load_ema

_BRIGHTEST = 28
"""Additional known answers of an int8 file: a CPU whose integer sums overflow draws these images wrong first."""


@dataclass(frozen=True)
class Part:
    """The networks of a checkpoint and the generator's graph, the same one in a plain file and in a mixture."""

    checkpoint: Checkpoint
    generator: GeneratorNetwork
    discriminator: Discriminator
    model: onnx.ModelProto
    recipe: Recipe
    """The limits for its pixels."""
    beyond: npt.NDArray[np.int64] | None = None
    """``Calibration.beyond`` for a graph in integers, else None."""


def build(checkpoint: Checkpoint, target: Target) -> Part:
    """Rewrite, trace and, for an integer target, quantise the EMA generator of ``checkpoint``."""
    config, recipe = checkpoint.config, RECIPES[target]
    generator = load_ema(config, checkpoint.tensors)
    discriminator = load_discriminator(config, checkpoint.tensors)
    model = graph.export(generator, config.latent_dim, recipe.rewrites, recipe.dtype)
    if not recipe.int8:
        return Part(checkpoint, generator, discriminator, model, recipe)
    calibration = calibrate(model, parity.feeds(config, _calibrated(recipe)))
    if not calibration.ranges:  # a graph without integers is held to the limits of float32
        return Part(checkpoint, generator, discriminator, model, RECIPES["cpu"])
    integers = quantise(model, calibration)
    return Part(checkpoint, generator, discriminator, integers, recipe, calibration.beyond)


def recipe_of_all(parts: Sequence[Part]) -> Recipe:
    """Return the limits for the pixels of all parts together: those of integers if any part is in integers."""
    return next((part.recipe for part in parts if part.beyond is not None), parts[0].recipe)


def brightest_of(parts: Sequence[Part]) -> tuple[int, ...]:
    """Return the indices at which an overflow of integers would show first; none if all parts are in float."""
    recipe, config = recipe_of_all(parts), parts[0].checkpoint.config
    if not recipe.int8:
        return ()
    beyond = np.stack([_beyond(part) for part in parts])
    indices = _calibrated(recipe)
    member = parity.feeds(config, indices, len(parts)).get("member", np.zeros(len(indices), np.int64))
    places = brightest(beyond[member, np.arange(len(indices))], _BRIGHTEST)
    return tuple(indices[place] for place in places)


def _beyond(part: Part) -> npt.NDArray[np.int64]:
    return np.zeros(CALIBRATION_IMAGES, np.int64) if part.beyond is None else part.beyond


def _calibrated(recipe: Recipe) -> range:
    """The indices that calibrate the ranges; parity compares others."""
    return range(recipe.addresses, recipe.addresses + CALIBRATION_IMAGES)


def training_of(checkpoint: Checkpoint) -> Training:
    """Return the part of a card about the training of ``checkpoint``."""
    config = checkpoint.config
    return Training(
        dataset=Path(config.data).name,
        license=config.license,
        images=checkpoint.step * config.images_per_step,
        steps=checkpoint.step,
        config_sha256=digest(config),
        data_sha256=config.data_sha256,
    )
