"""What a training run depends on: one frozen dataclass, which is the command line, ``config.json`` and the resume check."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from drawwell.latents import Prior
from drawwell_train.networks import ImageSize


@dataclass(frozen=True)
class TrainConfig:
    """Train a DCGAN on a folder of images (or on a data file), and continue where it stopped when run again."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A folder of images (its sub-folders are classes), an IDX .gz file or a folder with MNIST's four, CIFAR binary
    batches, an .npz or .npy of uint8 images, or `digits`: 5,000 real handwritten digits that come with `drawwell[digits]`."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")] = None
    """The run folder. By default runs/NAME."""
    name: str = ""
    """What the generator is called in its card. By default the last part of the data's path."""
    license: str = "not stated"
    """The licence of the data, for the card: who draws images should know."""

    size: Annotated[ImageSize | None, tyro.conf.arg(metavar="{28,32,64,128}", help_behavior_hint="")] = None
    """Height and width of the images in pixels. By default the data's own where it has one of these, else 64."""
    channels: Annotated[Literal[1, 3] | None, tyro.conf.arg(metavar="{1,3}", help_behavior_hint="")] = None
    """1 is grey, 3 is colour. By default the data's own; colour for a folder."""
    width: int = 64
    """Channels at half the image's size, doubled at every halving: 64 is the official example's, and the paper's at 64 px is 128."""
    latent_dim: int = 100
    """Numbers in one latent z: 100 as in the paper."""
    prior: Prior = "normal"
    """Distribution of z: normal as in the official example, or uniform on [-1, 1) as in the paper."""

    data_sha256: Annotated[str, tyro.conf.Suppress] = ""
    """Of the images and their shape: a run continues on the data that it began with, wherever that lies."""

    steps: int = 25_000
    """Steps of the generator: 25,000 are 27 epochs of 60,000 images at 64 a batch."""
    batch_size: int = 64
    """Images in a step (the paper: 128): a processor gains no throughput beyond 64, and smaller steps are more of them."""
    d_steps: int = 1
    """Steps of the discriminator before one of the generator: k of algorithm 1, which the paper sets to 1."""
    learning_rate: float = 2e-4
    """Adam's, for both networks: the paper found 1e-3 too high."""
    beta1: float = 0.5
    """Adam's momentum: at 0.9 the paper saw oscillation."""
    ema_halflife_images: int = 10_000
    """Images after which a weight counts half in the averaged generator, which is the exported one; less in a short run."""
    seed: int = 0
    """Seed of the weights, the latents and the order of the data."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA where there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the convolutions; weights stay float32. auto takes bfloat16 where the processor multiplies it (1.5 to 2 times faster)."""
    threads: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Threads of the processor. By default one a core; a run resumes exactly only with the same number. Give each of several
    trainings at once its share: together they are slow if each takes all."""

    log_every: int = 50
    """Steps between two lines of stats.jsonl: some seconds on a processor."""
    sample_every: int = 500
    """Steps between two sample sheets: often enough to see a collapse."""
    save_every: int = 1000
    """Steps between two checkpoints: what a crash may cost, on two cores a minute at 28 px and five at 64."""
    keep: int = 2
    """Checkpoints that are kept: the last, and one before it in case the disk damages the last."""
    dry_run: bool = False
    """Load the data, build the networks, print what would be done, and stop."""

    def __post_init__(self) -> None:
        for field in (
            "width",
            "latent_dim",
            "steps",
            "batch_size",
            "d_steps",
            "log_every",
            "sample_every",
            "save_every",
            "keep",
        ):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, not {getattr(self, field)}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be at least 1, not {self.threads}")
        if self.batch_size < 2:
            raise ValueError("batch_size must be at least 2: batch norm needs a batch")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")
        if not 0 <= self.beta1 < 1:
            raise ValueError(f"beta1 must be in [0, 1), not {self.beta1}")
        if self.ema_halflife_images < 0:
            raise ValueError(f"ema_halflife_images must be at least 0, not {self.ema_halflife_images}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be in [0, 2**63), not {self.seed}")


_FREE_TO_CHANGE = {
    "data",
    "out",
    "name",
    "license",
    "steps",
    "device",
    "threads",
    "log_every",
    "sample_every",
    "save_every",
    "keep",
    "dry_run",
}
"""What a run may be continued with a new value of: none of these is part of what one step computes."""


def images_per_step(config: TrainConfig) -> int:
    """Real images that one step shows to the discriminator: what "images seen" counts everywhere."""
    return config.d_steps * config.batch_size


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """What JSON holds of a configuration."""
    return asdict(config) | {"out": str(config.out)}


def from_dict(values: dict[str, Any]) -> TrainConfig:
    return TrainConfig(**values | {"out": Path(values["out"])})


def digest(config: TrainConfig) -> str:
    """SHA-256 of all that decides what a step computes, as 64 hex digits."""
    decisive = {name: value for name, value in asdict(config).items() if name not in _FREE_TO_CHANGE}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def differences(old: TrainConfig, new: TrainConfig) -> list[str]:
    """What keeps ``new`` from continuing a run of ``old``, in words."""
    names = [field.name for field in fields(TrainConfig) if field.name not in _FREE_TO_CHANGE]
    changed = [name for name in names if getattr(old, name) != getattr(new, name)]
    words = {"data_sha256": "it was trained on other images"}
    return [words.get(name, f"{name} was {getattr(old, name)}, is {getattr(new, name)}") for name in changed]
