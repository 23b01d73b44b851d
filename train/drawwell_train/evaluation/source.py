"""What is measured: the averaged generator of a checkpoint, a mixture of several, or a generator file, drawn by address."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from drawwell.addresses.latents import latents, members
from drawwell.engine.engine import Engine
from drawwell.errors import RequestError
from drawwell.generator import Images
from drawwell.opening import is_url, open_generator
from drawwell.pieces import slices
from drawwell_train.config import TrainConfig, recipe_of
from drawwell_train.evaluation.classes import Labels
from drawwell_train.networks.networks import Generator
from drawwell_train.run import mixture
from drawwell_train.run.checkpoint import Checkpoint, Step
from drawwell_train.run.mixture import Steps, find_members
from drawwell_train.step.state import load_averaged

Say = Callable[[str], None]

_PIECE_IMAGES = 256


class Draw(Protocol):
    """Images uint8 ``[N, H, W, C]`` of a seed's indices, of the labels int64 ``[N]`` where the generator takes some."""

    def __call__(self, seed: int, indices: range, labels: Labels | None) -> Images: ...


@dataclass(frozen=True)
class Source:
    """A generator, whatever it lies in. ``shape`` is ``[H, W, C]``."""

    name: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    draw: Draw
    checkpoint: Checkpoint | None = None
    at_spread: Callable[[float], Draw] | None = None
    """How to draw with the latents multiplied by a factor; None for a server, which makes the latents itself."""
    more: tuple[Checkpoint, ...] = ()
    """Of a mixture, the checkpoints of its other members."""


def open_source(
    model: str, step: Step | Steps = (), say: Say = print, threads: int | None = None, more: Sequence[Path] = ()
) -> Source:
    """A run folder's checkpoint, or a generator: its file, its bundled name, its URL. With several steps, or ``more`` runs, the
    mixture of all that these name. ``say`` gets a sentence for each damaged checkpoint that was passed over. Raises ``DrawwellError``.
    """
    path = Path(model).expanduser()
    if path.is_dir() or more:
        steps = step if isinstance(step, tuple) else (step,) if step is not None else ()
        return of_checkpoints(*(member.checkpoint for member in find_members([path, *more], steps, say)))
    if step is not None and step != ():
        raise RequestError(f"{model}: is no run folder, so it has no --step")
    generator = open_generator(model, threads=None if is_url(model) else threads)
    card = generator.card

    def draw(seed: int, indices: range, labels: Labels | None) -> Images:
        return generator.generate(seed, indices=indices, labels=labels).images

    at_spread = partial(_file_at_spread, generator) if isinstance(generator, Engine) else None
    return Source(card.name, card.image_shape, card.class_names, draw, at_spread=at_spread)


def of_checkpoints(found: Checkpoint, *more: Checkpoint) -> Source:
    """The averaged generator, or the mixture of several, as the exported file draws it."""
    config = found.config
    assert config.size is not None and config.channels is not None, "a checkpoint's configuration is resolved"
    generators = [load_averaged(one.config, one.tensors) for one in (found, *more)]

    def at_spread(spread: float) -> Draw:
        return partial(_draw, generators, config, spread)

    shape = config.size, config.size, config.channels
    return Source(config.name, shape, config.class_names, at_spread(1.0), found, at_spread, more)


def _file_at_spread(engine: Engine, spread: float) -> Draw:
    def draw(seed: int, indices: range, labels: Labels | None) -> Images:
        images = []
        for piece in slices(len(indices), engine.piece_images):
            feeds = engine.feeds(seed, indices[piece], None if labels is None else labels[piece])
            images.append(engine.draw(feeds | {"z": feeds["z"] * np.float32(spread)}))
        return np.concatenate(images)

    return draw


def _draw(
    generators: list[Generator], config: TrainConfig, spread: float, seed: int, indices: range, labels: Labels | None
) -> Images:
    dim, prior, images = config.latent_dim, recipe_of(config).prior, []
    for piece in slices(len(indices), _PIECE_IMAGES):
        z = torch.from_numpy(latents(seed, indices[piece], dim, prior) * np.float32(spread))
        label = None if labels is None else torch.from_numpy(labels[piece])
        member = members(seed, indices[piece], len(generators), dim, prior) if len(generators) > 1 else None
        images.append(mixture.draw(generators, z, label, member))
    return np.concatenate(images)
