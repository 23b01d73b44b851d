"""What a training run depends on: one frozen dataclass, which is the command line, ``config.json`` and the resume check."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from drawwell.addresses.latents import Prior
from drawwell_train.config_check import check
from drawwell_train.presets import (
    DIFFAUGMENT_POLICY,
    PRESETS,
    Change,
    Loss,
    Norm,
    PenaltyForm,
    Preset,
    PresetName,
    Schedule,
)

ImageSize = Literal[28, 32, 64, 128]

MAX_BAD = 0.01
"""Of a folder's pictures: more are a sign that something else is wrong with it."""


@dataclass(frozen=True)
class TrainConfig:
    """Train a GAN on a folder of images (or on a data file), and continue where it stopped when run again."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A folder of images, or a .zip of one (its sub-folders are classes, unless labels.csv in it has a row `file,class` for each), an
    IDX file or a folder with MNIST's four, CIFAR binary batches, an .npz or .npy of uint8 images, or `digits`: 5,000 real handwritten
    digits that come with `drawwell[digits]`."""
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
    max_bad: float = MAX_BAD
    """Share of a folder's pictures that may be unreadable, from 0 to 1. They are named and left out. Up to 3 always may be."""
    max_megapixels: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Largest picture of a folder that is read; decoding takes up to 16 MB a megapixel. By default 89, which is Pillow's limit."""
    preset: PresetName = "dcgan"
    """The networks, the loss and the optimizers. dcgan: Radford et al. 2015, for 28 to 128 px. sngan: the same generator with a
    deeper discriminator under spectral normalisation, Miyato et al. 2018; it needs more time. wgan: clipped
    weights, Arjovsky et al. 2017. wgan-gp: gradient penalty, Gulrajani et al. 2017. Both update the critic 5 times for each update
    of the generator. For 28 and 32 px, of lecture notes: mlp (fully connected, Goodfellow et al. 2014), cnn, deep-cnn."""
    width: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """How wide the networks are. By default as published: 64 channels at half the image's size, doubled at every halving
    (the paper's at 64 px is 128); 100 hidden units in mlp."""
    d_width: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Width of the discriminator, by default that of the generator. It is never exported, so a wider one does not slow down
    drawing."""
    latent_dim: int = 100
    """Numbers in one latent z: 100 as in the paper."""
    prior: Annotated[Prior | None, tyro.conf.arg(metavar="{normal,uniform}", help_behavior_hint="")] = None
    """Distribution of z: normal, which is the default, or uniform on [-1, 1) as in the DCGAN paper."""
    conditional: bool = False
    """Learn the classes of the data, so that images can be drawn by label."""
    class_names: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()
    recipe: Annotated[Preset | None, tyro.conf.Suppress] = None

    loss: Annotated[
        Loss | None,
        tyro.conf.arg(metavar="{non-saturating,minimax,hinge,relativistic,wasserstein}", help_behavior_hint=""),
    ] = None
    """By default the preset's. non-saturating: -log D(G(z)), the cross-entropy with flipped labels. minimax: log(1 - D(G(z))),
    which hardly teaches while D is sure. hinge, the default of sngan: D stops learning from images that it is sure of (Lim and Ye 2017).
    relativistic: D compares each real image with a generated one, which helps variety (Jolicoeur-Martineau 2018). Add --r1 and --r2
    so that training converges (Huang et al. 2024). wasserstein: only for wgan and wgan-gp."""
    r1: Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    """Weight of the R1 penalty, by default 0: gamma in gamma / 2 times the squared gradient of D at real images (Mescheder et al. 2018).
    R3GAN takes 0.05 at 32 px. It needs a discriminator without batch norm."""
    r2: Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    """Weight of the R2 penalty, by default 0: the same at generated images. Use both with --loss relativistic: R1 alone diverges."""
    penalty_every: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Compute R1 and R2 only at every so many steps, with so many times the weight (lazy regularisation, Karras et al. 2020). By
    default 1."""
    penalty_form: Annotated[
        PenaltyForm | None, tyro.conf.arg(metavar="{exact,finite-difference}", help_behavior_hint="")
    ] = None
    """How R1 and R2 are computed. exact, the default: by differentiating twice, in float32. finite-difference: from how D's output
    changes when a little noise is added to the images (Lin et al. 2025), which is faster."""
    consistency: Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    """Weight of consistency regularisation, by default 0 (Zhang et al. 2020 take 10). It penalises D for judging a real image
    differently after the image is moved by up to an eighth of its size, and mirrored with --flip."""
    label_smoothing: float = 0.0
    """One-sided: D's target for real images is 1 minus this; 0.1 keeps it from being too sure."""
    pack: int = 1
    """Number of images that D judges together (PacGAN). With 2, D notices when images are alike. Not with --conditional."""
    d_norm: Annotated[Norm | None, tyro.conf.arg(metavar="{batch,spectral,none}", help_behavior_hint="")] = None
    """Normalisation of the discriminator, by default the preset's. spectral divides each weight by its largest singular value and
    leaves out batch norm (Miyato et al. 2018), so that D cannot become too steep."""
    spectral_norm: bool = False
    """The same as --d-norm spectral."""
    minibatch_std: bool = False
    """Give the discriminator of sngan the standard deviation within groups of four images, so that it sees a lack of variety
    (Karras et al. 2018)."""
    flip: bool = False
    """Mirror each image half of the time: for data in which left and right do not matter."""
    diffaugment: bool = False
    """Apply random changes to real and generated images before D sees them (Zhao et al. 2020). G does not learn to draw the
    changes. For a few thousand images or fewer."""
    diffaugment_policy: tuple[Change, ...] = DIFFAUGMENT_POLICY
    """What --diffaugment changes. cutout hides up to a quarter of each image; with few images, G learns to draw the holes."""

    data_sha256: Annotated[str, tyro.conf.Suppress] = ""
    """Of the images and their shape: a run continues on the data that it began with, wherever that lies."""

    steps: int = 25_000
    """Steps of the generator: 25,000 are 27 epochs of 60,000 images at 64 a batch."""
    batch_size: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Images in a step, over all processes. By default 64 (the paper: 128): a processor gains no throughput beyond, and
    smaller steps are more of them."""
    d_steps: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Discriminator updates per training step: k of algorithm 1. By default 1, for wgan and wgan-gp 5."""
    g_steps: int = 1
    """Generator updates per training step."""
    learning_rate: Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    """The generator's. By default the preset's, 2e-4 for dcgan; the discriminator's is the same, for deep-cnn twice as much."""
    beta1: Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    """Adam's momentum. By default 0.5 for dcgan, as 0.9 made it oscillate, and 0 for wgan-gp."""
    schedule: Annotated[Schedule | None, tyro.conf.arg(metavar="{constant,linear}", help_behavior_hint="")] = None
    """Schedule of the learning rates, by default the preset's, which for dcgan is constant. linear lowers them to 0 at the last
    step. Set --steps before you start a linear run: it cannot be made longer."""
    ema_halflife_images: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Half-life of the generator's EMA weights, in images, and at most 5 % of the images seen. The EMA generator is the one that is
    exported. By default the preset's, 10,000 for dcgan."""
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
        check(self, recipe_of(self))


def recipe_of(config: TrainConfig) -> Preset:
    """The preset, with what the options say in the place of what it says.

    A checkpoint's configuration brings the preset as it was when the run began.
    """
    preset = config.recipe or PRESETS[config.preset]
    given = {name: getattr(config, name) for name in OVERRIDES if getattr(config, name) is not None}
    return replace(preset, **({"d_norm": "spectral"} if config.spectral_norm else {}) | given)


def complete(config: TrainConfig) -> TrainConfig:
    """Put the preset's values in place of every option that was not given, and the whole preset beside them."""
    recipe = recipe_of(config)
    values = {name: getattr(recipe, name) for name in OVERRIDES}
    return replace(config, **values, spectral_norm=False, recipe=recipe)


OVERRIDES = (
    "width",
    "d_width",
    "loss",
    "prior",
    "d_norm",
    "batch_size",
    "d_steps",
    "learning_rate",
    "beta1",
    "schedule",
    "ema_halflife_images",
    "r1",
    "r2",
    "penalty_every",
    "penalty_form",
    "consistency",
)
"""The options that replace a preset's value."""


def images_per_step(config: TrainConfig) -> int:
    """Real images that one step shows to the discriminator: what "images seen" counts everywhere."""
    recipe = recipe_of(config)
    return recipe.d_steps * recipe.batch_size
