"""The generator that is measured: the EMA generator of a checkpoint, a mixture of several, or a generator file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from drawwell.addresses.latents import Prior, latents, members
from drawwell.addresses.latents import labels as labels_of_addresses
from drawwell.engine.engine import Engine
from drawwell.errors import RequestError
from drawwell.generator import Images
from drawwell.opening import is_url, open_generator
from drawwell.pieces import slices
from drawwell_train.config import TrainConfig
from drawwell_train.data.classes import LabelArray
from drawwell_train.networks.base import GeneratorNetwork
from drawwell_train.run import mixture
from drawwell_train.run.checkpoint import Checkpoint, Say, Step
from drawwell_train.run.mixture import Steps, find_members
from drawwell_train.step.state import load_ema

_PIECE_IMAGES = 256


class Draw(Protocol):
    """Draws images uint8 ``[N, H, W, C]`` at ``indices`` of ``seed``, with labels int64 ``[N]`` for a generator with classes."""

    def __call__(self, seed: int, indices: range, labels: LabelArray | None) -> Images: ...


@dataclass(frozen=True)
class Source:
    """A generator from any place. ``shape`` is ``(H, W, C)``."""

    name: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    draw: Draw
    checkpoint: Checkpoint | None = None
    at_spread: Callable[[float], Draw] | None = None
    """Returns a ``Draw`` with latents multiplied by a factor; None for a server, which makes its latents itself."""
    more: tuple[Checkpoint, ...] = ()
    """The other checkpoints of a mixture."""
    digest: str = ""
    """SHA-256 of the generator file, or of the EMA weights of checkpoints: 64 hex digits."""
    labels_at: Callable[[int, range], LabelArray] | None = None
    """Returns the labels of addresses, int64 ``[N]``; None for a generator without classes."""
    data_sha256: tuple[str, ...] = ()
    """Of the real images that each generator of it learned from. Empty texts where that is not known."""


def open_source(
    model: str, step: Step | Steps = (), say: Say = print, threads: int | None = None, more: Sequence[Path] = ()
) -> Source:
    """Open the generator of ``model``: a run folder, a generator file, a bundled name or a URL.

    ``step`` picks checkpoints of run folders. Several steps, or ``more`` run folders, make a mixture. ``threads`` is for files and
    bundled names. ``say`` gets a sentence for each damaged checkpoint that is skipped. Raises ``DrawwellError``.
    """
    path = Path(model).expanduser()
    if path.is_dir() or more:
        steps = step if isinstance(step, tuple) else (step,) if step is not None else ()
        return of_checkpoints(*(member.checkpoint for member in find_members([path, *more], steps, say)))
    if step is not None and step != ():
        raise RequestError(f"{model}: --step is for run folders, and this is none: leave it out")
    generator = open_generator(model, threads=None if is_url(model) else threads)
    card = generator.card

    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
        return generator.generate(seed, indices=indices, labels=labels).images

    at_spread = partial(_file_at_spread, generator) if isinstance(generator, Engine) else None
    return Source(
        card.name,
        card.image_shape,
        card.class_names,
        draw,
        at_spread=at_spread,
        digest=generator.digest,
        labels_at=_labels_at(card.class_names, card.latent_dim, card.prior),
        data_sha256=tuple(training.data_sha256 for training in card.members or (card.training,)),
    )


def of_checkpoints(found: Checkpoint, *more: Checkpoint) -> Source:
    """Return the EMA generator of a checkpoint, or the mixture of several, as the exported file draws it."""
    config = found.config
    generators = [load_ema(one.config, one.tensors) for one in (found, *more)]

    def at_spread(spread: float) -> Draw:
        return partial(_draw, generators, config, spread)

    shape = config.size, config.size, config.channels
    return Source(
        config.name,
        shape,
        config.class_names,
        at_spread(1.0),
        found,
        at_spread,
        more,
        mixture.weights_sha256(found, *more),
        _labels_at(config.class_names, config.latent_dim, config.prior),
        tuple(one.config.data_sha256 for one in (found, *more)),
    )


def _labels_at(class_names: tuple[str, ...], dim: int, prior: Prior) -> Callable[[int, range], LabelArray] | None:
    def labels_at(seed: int, indices: range) -> LabelArray:
        return labels_of_addresses(seed, indices, len(class_names), dim, prior)

    return labels_at if class_names else None


def _file_at_spread(engine: Engine, spread: float) -> Draw:
    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
        images = []
        for piece, some_labels in _pieces(indices, labels, engine.piece_images):
            feeds = engine.feeds(seed, piece, some_labels)
            images.append(engine.draw(feeds | {"z": feeds["z"] * np.float32(spread)}))
        return np.concatenate(images)

    return draw


def _draw(
    generators: list[GeneratorNetwork],
    config: TrainConfig,
    spread: float,
    seed: int,
    indices: range,
    labels: LabelArray | None,
) -> Images:
    dim, prior, images = config.latent_dim, config.prior, []
    for piece, some_labels in _pieces(indices, labels, _PIECE_IMAGES):
        z = torch.from_numpy(latents(seed, piece, dim, prior) * np.float32(spread))
        label = None if some_labels is None else torch.from_numpy(some_labels)
        member = members(seed, piece, len(generators), dim, prior) if len(generators) > 1 else None
        images.append(mixture.draw(generators, z, label, member))
    return np.concatenate(images)


def _pieces(indices: range, labels: LabelArray | None, size: int) -> Iterator[tuple[range, LabelArray | None]]:
    for rows in slices(len(indices), size):
        yield indices[rows], None if labels is None else labels[rows]
