"""The options of ``drawwell train``: the command line and its help. None means that preset, data or machine decides."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from drawwell.addresses.latents import Prior
from drawwell_train.config import MAX_BAD, ImageSize, TrainConfig
from drawwell_train.presets import (
    DIFFAUGMENT_POLICY,
    PRESETS,
    Change,
    Loss,
    Norm,
    PenaltyForm,
    PresetName,
    Schedule,
)


def _shown(metavar: str) -> Any:
    """How ``--help`` shows an option whose default its text explains."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="")


@dataclass(frozen=True)
class TrainOptions:
    """Train a GAN on a folder of images. Run the same command again to continue a run that stopped."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """The images: a folder, or a .zip of one. Each sub-folder is a class (or list classes in labels.csv, one row `file,class` per
    image). Also read: IDX (a file, or a folder with MNIST's four files), CIFAR-10 binary batches, .npz or .npy of uint8 images,
    and the name `digits`: 5,000 handwritten digits from the extra `digits`."""
    out: Annotated[Path | None, _shown("PATH")] = None
    """The run folder. Default: runs/NAME."""
    name: Annotated[str, _shown("NAME")] = ""
    """Name of the generator in its card. Default: the last part of the path of the data."""
    license: str = "not stated"
    """Licence of the data. The card shows it to everyone who draws images."""

    size: Annotated[ImageSize | None, _shown("{28,32,64,128}")] = None
    """Height and width of the images in pixels. Default: the size of the data if the preset supports it, otherwise 64, or 32 if the
    preset has no 64."""
    channels: Annotated[Literal[1, 3] | None, _shown("{1,3}")] = None
    """1 for grey, 3 for colour. Default: as in the data; 3 for a folder of pictures."""
    max_bad: float = MAX_BAD
    """Largest share of a folder's pictures that may be unreadable, from 0 to 1. Unreadable pictures are listed and skipped; up to 3
    are always allowed."""
    max_megapixels: Annotated[int | None, _shown("INT")] = None
    """Largest picture to read, in megapixels. Decoding needs up to 16 MB of memory per megapixel. Default: 89, the limit of Pillow."""
    preset: PresetName = "dcgan"
    """Networks, loss and optimizers. dcgan: Radford et al. 2015, 28 to 128 px. sngan: the same generator, a deeper discriminator
    with spectral normalisation (Miyato et al. 2018); slower. rpgan: relativistic pairs with R1 and R2 penalties (Huang et al.
    2024), for grey images to train classifiers on; 1.6 times slower. wgan: weight clipping (Arjovsky et al. 2017). wgan-gp: gradient
    penalty (Gulrajani et al. 2017). Both make 5 critic updates per generator update. For 28 and 32 px, from lecture notes: mlp
    (fully connected, Goodfellow et al. 2014), cnn, deep-cnn."""
    width: Annotated[int | None, _shown("INT")] = None
    """Width of the networks: channels at half the image size, doubled at each halving; for mlp, hidden units. Default: 64, and 100 for
    mlp. (The DCGAN paper uses 128 at 64 px.)"""
    d_width: Annotated[int | None, _shown("INT")] = None
    """Width of the discriminator. Default: the width of the generator. A wide discriminator does not slow down
    drawing."""
    latent_dim: int = 100
    """Length of the latent vector z; 100 as in the DCGAN paper."""
    prior: Annotated[Prior | None, _shown("{normal,uniform}")] = None
    """Distribution of z: normal (default), or uniform on [-1, 1) as in the DCGAN paper."""
    conditional: bool = False
    """Train on the classes of the data, so that images can be drawn by label."""

    loss: Annotated[Loss | None, _shown("{non-saturating,minimax,hinge,relativistic,wasserstein}")] = None
    """The loss of D and G. Default: the preset's. non-saturating: G minimises -log D(G(z)). minimax: G minimises log(1 - D(G(z)));
    its gradient vanishes while D is confident. hinge (default of sngan): D ignores images it already classifies with a margin (Lim
    and Ye 2017). relativistic: D compares pairs of a real and a generated image, which helps variety (Jolicoeur-Martineau 2018);
    use it with --r1 and --r2 (Huang et al. 2024). wasserstein: only with wgan and wgan-gp."""
    r1: Annotated[float | None, _shown("FLOAT")] = None
    """Weight gamma of the R1 penalty: gamma / 2 times the squared gradient of D at real images (Mescheder et al. 2018). Default: 0.
    R3GAN uses 0.05 at 32 px. Needs a discriminator without batch norm."""
    r2: Annotated[float | None, _shown("FLOAT")] = None
    """Weight of the R2 penalty: the same at generated images. Default: 0. With --loss relativistic set both: R1 alone diverges."""
    penalty_every: Annotated[int | None, _shown("INT")] = None
    """Steps between two computations of R1 and R2; their weight is multiplied by this number (lazy regularisation, Karras et al.
    2020). Default: 1."""
    penalty_form: Annotated[PenaltyForm | None, _shown("{exact,finite-difference}")] = None
    """Method that computes R1 and R2. exact (default): double backpropagation in float32. finite-difference: from the change of D's output
    under a little noise on the images (Lin et al. 2025); faster."""
    consistency: Annotated[float | None, _shown("FLOAT")] = None
    """Weight of consistency regularisation: D should give the same output for a real image and its shifted copy, by up to an eighth of
    the size, also mirrored with --flip (Zhang et al. 2020, who use 10). Default: 0."""
    label_smoothing: float = 0.0
    """One-sided label smoothing: D's target for real images is 1 minus this. 0.1 is usual."""
    pack: int = 1
    """Images per input of D (PacGAN). With 2, D sees when images are alike. Not with --conditional."""
    d_norm: Annotated[Norm | None, _shown("{batch,spectral,none}")] = None
    """Normalisation of the discriminator. Default: the preset's. spectral: divides each weight by its largest singular value, and
    removes batch norm (Miyato et al. 2018)."""
    spectral_norm: bool = False
    """Short for --d-norm spectral."""
    minibatch_std: bool = False
    """Show the discriminator the standard deviation within groups of 4 images, so that it sees a lack of variety (Karras et al. 2018).
    Only with sngan and rpgan."""
    flip: bool = False
    """Mirror each image left to right with probability 1/2. For data in which left and right do not matter."""
    diffaugment: bool = False
    """Augment real and generated images before D sees them (DiffAugment, Zhao et al. 2020). For a few thousand images or fewer."""
    diffaugment_policy: tuple[Change, ...] = DIFFAUGMENT_POLICY
    """The augmentations that --diffaugment applies. cutout hides up to a quarter of each image; with few images, G learns to draw the
    holes."""

    steps: int = 25_000
    """Training steps. 25,000 steps of 64 images are 27 epochs of 60,000 images."""
    batch_size: Annotated[int | None, _shown("INT")] = None
    """Images per step, over all processes. Default: 64. (The DCGAN paper uses 128.)"""
    d_steps: Annotated[int | None, _shown("INT")] = None
    """Discriminator updates per training step. Default: 1; for wgan and wgan-gp 5."""
    g_steps: int = 1
    """Generator updates per training step."""
    learning_rate: Annotated[float | None, _shown("FLOAT")] = None
    """Learning rate of the generator. Default: the preset's, 2e-4 for dcgan. The discriminator uses the same; in deep-cnn twice
    as much."""
    beta1: Annotated[float | None, _shown("FLOAT")] = None
    """Momentum of Adam. Default: the preset's, 0.5 for dcgan and 0 for wgan-gp."""
    schedule: Annotated[Schedule | None, _shown("{constant,linear}")] = None
    """Schedule of the learning rates. Default: the preset's, constant for dcgan. linear: decays to 0 at the last step. A linear
    run cannot be made longer later: choose --steps first."""
    ema_halflife_images: Annotated[int | None, _shown("INT")] = None
    """Half-life of the generator's EMA weights, in images; at most 5 % of the images seen. The EMA generator is the one that is
    exported. Default: the preset's, 10,000 for dcgan."""
    seed: int = 0
    """Seed of the weights, the latents and the order of the data."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA if there is a device."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the convolutions; weights are always float32. auto: bfloat16 if the processor supports it (1.5 to 2 times
    faster)."""
    threads: Annotated[int | None, _shown("INT")] = None
    """CPU threads. Default: one per core. A run resumes exactly only with the same number. If several trainings share a machine, divide
    the cores between them."""

    log_every: int = 50
    """Steps between two lines of stats.jsonl."""
    sample_every: int = 500
    """Steps between two sample sheets."""
    save_every: int = 1000
    """Steps between two checkpoints. A crash loses at most this many steps."""
    kid_every: int = 5000
    """Steps between two measurements of KID, the distance between generated and real images; 0: never. Each measurement, and one at the
    last step, saves a checkpoint; the checkpoint with the lowest KID is kept. Runs of fewer steps are not measured: give a
    smaller number for a short run. Needs the extra `eval`."""
    keep: int = 2
    """Newest checkpoints to keep, beside the one with the lowest KID. 2 leaves one to fall back on if the disk damages the last."""
    on_collapse: Literal["stop", "warn"] = "warn"
    """What to do on mode collapse: stop training, or warn and continue."""
    tensorboard: bool = False
    """Also write every line of stats.jsonl for TensorBoard, into the run folder. Needs the extra `tensorboard`."""
    watch: bool = False
    """Show the run on a page of this machine while it trains, and print its URL. Needs the extra `watch`."""
    dry_run: bool = False
    """Load the data, build the networks, print the plan, and stop."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for options that do not work, alone or together."""
        if self.spectral_norm and self.d_norm not in (None, "spectral"):
            raise ValueError(
                f"spectral_norm means d_norm spectral, but d_norm is {self.d_norm}: remove one of the two options"
            )
        resolved(self)


def resolved(options: TrainOptions, **decided: Any) -> TrainConfig:
    """Resolve options: an option that is given counts, otherwise the value of its preset.

    Args:
        options: as given on the command line.
        decided: values that data and machine decide, by name: ``size``, ``channels``, ``class_names``, ``data_sha256``, ``out``,
            ``name``, ``data``, ``device``, ``precision``, ``threads``. Placeholders stand for those that are left out.

    Returns:
        The configuration.

    Raises:
        ValueError: options do not work together.
    """
    preset = PRESETS[options.preset]
    given = {field.name: getattr(options, field.name) for field in fields(options)}
    if given.pop("spectral_norm"):
        given["d_norm"] = "spectral"
    chosen = {name: value for name, value in given.items() if value is not None}
    undecided = {"size": preset.sizes[0], "channels": 3, "class_names": (), "data_sha256": "", "out": Path("runs")}
    return TrainConfig(
        **undecided | {"threads": 1, "max_megapixels": None} | vars(preset) | chosen | decided  # type: ignore[arg-type]
    )
