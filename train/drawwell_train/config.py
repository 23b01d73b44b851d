"""What a training run depends on: one frozen dataclass, which is the command line, ``config.json`` and the resume check."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from drawwell.latents import Prior
from drawwell_train.presets import PRESETS, Loss, Preset, PresetName

ImageSize = Literal[28, 32, 64, 128]


@dataclass(frozen=True)
class TrainConfig:
    """Train a GAN on a folder of images (or on a data file), and continue where it stopped when run again."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A folder of images (its sub-folders are classes, unless labels.csv in it has a row `file,class` for each), an IDX .gz file or
    a folder with MNIST's four, CIFAR binary batches, an .npz or .npy of uint8 images, or `digits`: 5,000 real handwritten digits
    that come with `drawwell[digits]`."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")] = None
    """The run folder. By default runs/NAME."""
    name: str = ""
    """What the generator is called in its card. By default the last part of the data's path."""
    license: str = "not stated"
    """The licence of the data, for the card: who draws images should know."""

    size: Annotated[ImageSize | None, tyro.conf.arg(metavar="{28,32,64,128}", help_behavior_hint="")] = None
    """Height and width of the images in pixels. By default the data's own where the preset takes it, else 64, or 32."""
    channels: Annotated[Literal[1, 3] | None, tyro.conf.arg(metavar="{1,3}", help_behavior_hint="")] = None
    """1 is grey, 3 is colour. By default the data's own; colour for a folder."""
    preset: PresetName = "dcgan"
    """The networks, the loss and the optimizers. dcgan: Radford et al. 2015, for 28 to 128 px. wgan: with clipped weights,
    Arjovsky et al. 2017; wgan-gp: with a gradient penalty, Gulrajani et al. 2017: both take 5 steps of the critic for one of the
    generator. For 28 and 32 px, of lecture notes: mlp (fully connected, Goodfellow et al. 2014), cnn, deep-cnn."""
    width: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """How wide the networks are. By default as published: 64 channels at half the image's size, doubled at every halving
    (the paper's at 64 px is 128); 100 hidden units in mlp."""
    latent_dim: int = 100
    """Numbers in one latent z: 100 as in the paper."""
    prior: Annotated[Prior | None, tyro.conf.arg(metavar="{normal,uniform}", help_behavior_hint="")] = None
    """Distribution of z: normal, which is the default, or uniform on [-1, 1) as in the DCGAN paper."""
    conditional: bool = False
    """Learn the classes of the data, so that images can be drawn by label."""
    class_names: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()

    loss: Annotated[
        Loss | None, tyro.conf.arg(metavar="{non-saturating,minimax,wasserstein}", help_behavior_hint="")
    ] = None
    """By default the preset's. non-saturating: -log D(G(z)), the cross-entropy with flipped labels. minimax: log(1 - D(G(z))),
    which hardly teaches while D is sure. wasserstein: of wgan and wgan-gp, and only of these."""
    label_smoothing: float = 0.0
    """One-sided: D's target for real images is 1 minus this; 0.1 keeps it from being too sure."""
    pack: int = 1
    """Images that D judges together, 2 for instance, so that it sees a lack of variety (PacGAN); not with --conditional."""
    spectral_norm: bool = False
    """Divide each of D's weights by its largest singular value, without batch norm (Miyato et al. 2018): D cannot become too steep."""
    flip: bool = False
    """Mirror each image half of the time: for data in which left and right do not matter."""
    diffaugment: bool = False
    """Show D colours, places and parts of images changed at random, real and generated ones alike, which does not leak into
    what is generated: for a few thousand images or less (Zhao et al. 2020)."""

    data_sha256: Annotated[str, tyro.conf.Suppress] = ""
    """Of the images and their shape: a run continues on the data that it began with, wherever that lies."""

    steps: int = 25_000
    """Steps of the generator: 25,000 are 27 epochs of 60,000 images at 64 a batch."""
    batch_size: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Images in a step, over all processes. By default 64 (the paper: 128): a processor gains no throughput beyond, and
    smaller steps are more of them."""
    d_steps: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Steps of the discriminator in one: k of algorithm 1. By default 1, with a critic 5."""
    g_steps: int = 1
    """Steps of the generator in one."""
    learning_rate: Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    """The generator's. By default the preset's, 2e-4 for dcgan; the discriminator's is the same, for deep-cnn twice as much."""
    beta1: Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    """Adam's momentum. By default 0.5 for dcgan, as 0.9 made it oscillate, and 0 for wgan-gp."""
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
    kid_every: int = 5000
    """Steps between two measurements of KID, the distance of drawn images to real ones, 0 for none: then and at the last step a
    checkpoint is saved, and that of the least KID is kept. It takes some 8 s, a fiftieth of the time of the steps. Runs of fewer
    steps do without. Needs `drawwell[eval]`."""
    keep: int = 2
    """Checkpoints that are kept beside the best by KID: the last, and one before it in case the disk damages the last."""
    on_collapse: Literal["stop", "warn"] = "warn"
    """Whether training goes on when the generator draws only a few different images."""
    tensorboard: bool = False
    """Write every line of stats.jsonl for TensorBoard too, into the run folder. Needs `drawwell[tensorboard]`."""
    dry_run: bool = False
    """Load the data, build the networks, print what would be done, and stop."""

    def __post_init__(self) -> None:
        check(self)


def check(config: TrainConfig) -> None:
    """Raise ``ValueError`` with a sentence for options that make no sense, alone or together."""
    recipe = recipe_of(config)
    for name in ("width", "batch_size", "d_steps"):
        _at_least(1, name, getattr(recipe, name))
    for name in ("latent_dim", "steps", "g_steps", "pack", "log_every", "sample_every", "save_every", "keep"):
        _at_least(1, name, getattr(config, name))
    if config.threads is not None:
        _at_least(1, "threads", config.threads)
    for name in ("ema_halflife_images", "kid_every"):
        _at_least(0, name, getattr(config, name))
    if not recipe.learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, not {recipe.learning_rate}")
    for name, value in (("beta1", recipe.beta1), ("label_smoothing", config.label_smoothing)):
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), not {value}")
    if not 0 <= config.seed < 2**63:
        raise ValueError(f"seed must be in [0, 2**63), not {config.seed}")
    if config.size is not None and config.size not in recipe.sizes:
        raise ValueError(f"preset {config.preset} is for images of {_either(recipe.sizes)} px, not {config.size}")
    _check_together(config, recipe)


def _check_together(config: TrainConfig, recipe: Preset) -> None:
    if recipe.architecture == "deep-cnn" and recipe.width < 8:
        raise ValueError(
            f"width must be at least 8 for preset deep-cnn, whose last layers have an eighth of it, not {recipe.width}"
        )
    if config.spectral_norm and recipe.clip_weights is not None:
        raise ValueError(
            f"preset {config.preset} clips the critic's weights, which spectral_norm would scale: take one of them"
        )
    if recipe.batch_size < 2:
        raise ValueError("batch_size must be at least 2: batch norm needs a batch")
    if recipe.batch_size % config.pack:
        raise ValueError(f"pack {config.pack} must divide batch_size {recipe.batch_size}")
    if config.pack > 1 and config.conditional:
        raise ValueError(
            "pack is against a lack of variety over all classes, conditional is within one: take one of them"
        )
    if (recipe.loss == "wasserstein") != (PRESETS[config.preset].loss == "wasserstein"):
        raise ValueError(
            f"preset {config.preset} does not take loss {recipe.loss}: wasserstein is the loss of presets wgan and wgan-gp, whose "
            "critics are kept smooth, and their only one"
        )
    if recipe.loss == "wasserstein" and config.label_smoothing:
        raise ValueError(f"label_smoothing is of probabilities, which preset {config.preset} has not")
    if config.beta1 and recipe.optimizer != "adam":
        raise ValueError(f"beta1 is Adam's, preset {config.preset} learns with RMSProp")


def _at_least(least: int, name: str, value: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def _either(sizes: tuple[int, ...]) -> str:
    return " or ".join(map(str, sizes))


def recipe_of(config: TrainConfig) -> Preset:
    """The preset, with what the options say in the place of what it says."""
    preset = PRESETS[config.preset]
    given = {name: getattr(config, name) for name in _OVERRIDES if getattr(config, name) is not None}
    return replace(preset, **given)


def complete(config: TrainConfig) -> TrainConfig:
    """Put the preset's values in place of every option that was not given."""
    recipe = recipe_of(config)
    return replace(config, **{name: getattr(recipe, name) for name in _OVERRIDES})


_OVERRIDES = ("width", "loss", "prior", "batch_size", "d_steps", "learning_rate", "beta1")


def images_per_step(config: TrainConfig) -> int:
    """Real images that one step shows to the discriminator: what "images seen" counts everywhere."""
    recipe = recipe_of(config)
    return recipe.d_steps * recipe.batch_size
