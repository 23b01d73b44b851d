"""Mixtures: several checkpoints as one generator. Which can be mixed, and how torch draws from them.

A classifier that learns from the images of one GAN over-fits to what that GAN leaves out. The images of several, trained
from other seeds or taken at other steps, vary more (Wang et al. 2016, arXiv 1612.00991; Eilertsen et al. 2021, arXiv 2104.11797).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from drawwell.errors import DrawwellError
from drawwell.generator import Images
from drawwell_train.config import TrainConfig
from drawwell_train.networks.base import GeneratorNetwork, to_pixels
from drawwell_train.run.checkpoint import Checkpoint, Say, find
from drawwell_train.step import state

MOST_MEMBERS = 32
"""Every member adds to the size of the file, the memory of a server and the time until it is ready."""

Steps = tuple[int | Literal["best"], ...]
"""The checkpoints of each run, as ``checkpoint.Step``; empty for the last one."""


class MixtureError(DrawwellError):
    """These checkpoints cannot be mixed; the message says why."""


@dataclass(frozen=True)
class Member:
    """One generator of a mixture, and its run."""

    run: Path
    checkpoint: Checkpoint

    def __str__(self) -> str:
        return f"{self.run} at step {self.checkpoint.step:,}"


def find_members(runs: Sequence[Path], steps: Steps, say: Say) -> list[Member]:
    """The checkpoints of a mixture, by run and then by step.

    Args:
        runs: run folders.
        steps: the checkpoints of each run.
        say: takes a sentence for each damaged checkpoint that was skipped.

    Raises:
        CheckpointError: a checkpoint is missing.
        MixtureError: the checkpoints cannot be mixed. A single one always can.
    """
    chosen = [(run, step) for run in runs for step in (steps or (None,))]
    if len(chosen) > MOST_MEMBERS:
        raise MixtureError(
            f"{len(chosen)} generators are too many: a mixture has at most {MOST_MEMBERS}, "
            "because every server holds all of them in memory and tries each one when it starts"
        )
    members = []
    for run, step in chosen:
        found, damaged = find(run, step)
        for sentence in damaged:
            say(f"damaged checkpoint skipped: {sentence}")
        members.append(Member(run, found))
    _check(members)
    return members


def in_words(runs: Sequence[str | Path], steps: Steps) -> str:
    """Runs and steps as words of a command line."""
    named = " ".join(map(str, runs))
    return " ".join([named, *(f"--step {step}" for step in steps)])


def weights_sha256(first: Checkpoint, *more: Checkpoint) -> str:
    """SHA-256 of the EMA generators in this order, as 64 hex digits; of a single one, ``state.digest`` of its tensors."""
    hashes = [
        state.digest({name: value for name, value in one.tensors.items() if name.startswith("averaged.")})
        for one in (first, *more)
    ]
    return hashlib.sha256("".join(hashes).encode()).hexdigest() if more else hashes[0]


def draw(
    generators: Sequence[GeneratorNetwork], z: Tensor, label: Tensor | None, member: npt.NDArray[np.int64] | None
) -> Images:
    """Images uint8 ``[N, H, W, C]`` of latents float32 ``[N, D]``: row i by ``generators[member[i]]``, or all by the first."""
    if member is None:
        return _pixels(generators[0], z, label)
    drawn = [
        (places, _pixels(generators[one], z[places], None if label is None else label[places]))
        for one in np.unique(member)
        for places in [np.flatnonzero(member == one)]
    ]
    images: Images = np.empty((len(z), *drawn[0][1].shape[1:]), np.uint8)
    for places, pixels in drawn:
        images[places] = pixels
    return images


@torch.inference_mode()
def _pixels(generator: GeneratorNetwork, z: Tensor, label: Tensor | None) -> Images:
    return to_pixels(generator(z, label), generator.lowest).numpy()


def _check(members: Sequence[Member]) -> None:
    first, *others = members
    expected, known = _interface(first.checkpoint.config), {weights_sha256(first.checkpoint): first}
    for other in others:
        for what, value in _interface(other.checkpoint.config).items():
            if value != expected[what]:
                raise MixtureError(
                    f"{other} has {what} {value}, {first} has {expected[what]}: the generators of a mixture must agree in this"
                )
        twin = known.setdefault(weights_sha256(other.checkpoint), other)
        if twin is not other:
            raise MixtureError(f"{other} has the same weights as {twin}: a mixture takes each generator once")


def _interface(config: TrainConfig) -> dict[str, Any]:
    """Properties that all generators of a file share."""
    return {
        "images of size": config.size,
        "colour channels": config.channels,
        "latent_dim": config.latent_dim,
        "the prior": config.prior,
        "the classes": ", ".join(config.class_names) or "none",
    }
