"""Hyperparameters of the supported GANs."""

from dataclasses import dataclass
from typing import Literal

from drawwell.addresses.latents import Prior

PresetName = Literal["mlp", "cnn", "deep-cnn", "dcgan", "wgan", "wgan-gp", "sngan", "rpgan"]
Architecture = Literal["mlp", "cnn", "deep-cnn", "dcgan", "sngan"]
Loss = Literal["non-saturating", "minimax", "wasserstein", "hinge", "relativistic"]
Norm = Literal["batch", "spectral", "none"]
Optimizer = Literal["adam", "rmsprop"]
PenaltyForm = Literal["exact", "finite-difference"]
Schedule = Literal["constant", "linear"]
Change = Literal["color", "translation", "cutout"]
"""An augmentation of DiffAugment."""
DIFFAUGMENT_POLICY: tuple[Change, ...] = "color", "translation"
"""Default policy: without cutout, which G learns to draw where there are few images."""

CROSS_ENTROPIES: tuple[Loss, ...] = ("non-saturating", "minimax")
"""Losses under which the sigmoid of D's logit is a probability."""
STD_GROUP = 4
"""Size of the groups of images whose standard deviation D sees (Karras et al. 2018)."""


@dataclass(frozen=True)
class Preset:
    """Networks, loss and optimizers of one GAN."""

    architecture: Architecture
    sizes: tuple[int, ...]
    """Sizes of images that the networks support, in pixels."""
    width: int
    """Channels of the networks; each preset says of which layer."""
    loss: Loss
    optimizer: Optimizer
    learning_rate: float
    """Of the generator."""
    beta1: float = 0.0
    """Adam's momentum."""
    beta2: float = 0.999
    rho: float = 0.9
    """Decay of RMSProp's mean square: 0.9 as in Keras; torch's default is 0.99. Epsilon is added outside the root, as in Keras 2."""
    epsilon: float = 1e-8
    discriminator_rate: float = 1.0
    """The discriminator's learning rate, as a multiple of the generator's."""
    decay_g: float = 0.0
    decay_d: float = 0.0
    """As in Keras: after n updates the learning rate is divided by ``1 + decay * n``."""
    batch_size: int = 64
    d_steps: int = 1
    clip_gradients: float | None = None
    """Each element of a gradient is clipped to plus and minus this."""
    clip_weights: float | None = None
    """Each weight of the critic is clipped to plus and minus this after each of its updates."""
    penalty: float = 0.0
    """Weight of the gradient penalty: lambda of Gulrajani et al. 2017, equation 3."""
    d_norm: Norm = "none"
    """Normalisation of the discriminator: batch norm between its convolutions, or spectral normalisation of every weight."""
    d_width: int | None = None
    """Width of the discriminator; None: that of the generator."""
    one_pass: bool = False
    """D sees real and generated images in one batch. Batch norm does not allow it."""
    r1: float = 0.0
    r2: float = 0.0
    """Weights gamma of the squared gradient of D at real (R1) and at generated images (R2)."""
    penalty_every: int = 1
    """Steps between two computations of R1 and R2, and the factor of their weights."""
    penalty_form: PenaltyForm = "exact"
    consistency: float = 0.0
    """Weight of consistency regularisation: lambda of Zhang et al. 2020."""
    schedule: Schedule = "constant"
    """linear: the learning rates fall to 0 at the last step."""
    ema_halflife_images: int = 10_000
    """Half-life of the EMA weights, in images."""
    sigmoid: bool = False
    """The generator ends in a sigmoid, and its images are in [0, 1]; otherwise in tanh, and they are in [-1, 1]."""
    prior: Prior = "normal"


_ALL_SIZES = (28, 32, 64, 128)
_SMALL_SIZES = (28, 32)

PRESETS: dict[PresetName, Preset] = {
    # Goodfellow et al. 2014, as lecture notes size it for 28 px; width: its narrower hidden layer
    "mlp": Preset("mlp", _SMALL_SIZES, 100, "non-saturating", "rmsprop", 1e-3, epsilon=1e-7, sigmoid=True),
    # the smallest convolutional one of the notes; width: its narrower layer
    "cnn": Preset("cnn", _SMALL_SIZES, 64, "non-saturating", "rmsprop", 1e-3, epsilon=1e-7),
    # upsampling in the generator, four convolutions in the discriminator; width: the notes' "depth"
    "deep-cnn": Preset(
        "deep-cnn",
        _SMALL_SIZES,
        64,
        "non-saturating",
        "rmsprop",
        4e-4,
        epsilon=1e-7,
        discriminator_rate=2.0,
        decay_g=3e-8,
        decay_d=6e-8,
        clip_gradients=1.0,
        sigmoid=True,
    ),
    # Radford et al. 2015; width: channels at half the image's size
    "dcgan": Preset("dcgan", _ALL_SIZES, 64, "non-saturating", "adam", 2e-4, beta1=0.5, d_norm="batch"),
    # Arjovsky et al. 2017, algorithm 1, whose RMSProp is torch's
    "wgan": Preset(
        "dcgan", _ALL_SIZES, 64, "wasserstein", "rmsprop", 5e-5, rho=0.99, d_steps=5, clip_weights=0.01, d_norm="batch"
    ),
    # Gulrajani et al. 2017, algorithm 1; a norm over the batch would tie the images that the penalty takes one by one
    "wgan-gp": Preset("dcgan", _ALL_SIZES, 64, "wasserstein", "adam", 1e-4, beta2=0.9, d_steps=5, penalty=10.0),
    # Miyato et al. 2018 for D; the half-life is 0.9999 a step at 64 a batch (Kang and Park 2020)
    "sngan": Preset(
        "sngan",
        _ALL_SIZES,
        64,
        "hinge",
        "adam",
        2e-4,
        beta1=0.5,
        d_norm="spectral",
        one_pass=True,
        schedule="linear",
        ema_halflife_images=444_000,
    ),
    # Jolicoeur-Martineau 2018 for the loss, with R1 and R2 as in Huang et al. 2024. D is the one of sngan without normalisation, at a
    # quarter of the width: what wider ones gain in a step, they lost in the number of steps
    "rpgan": Preset(
        "sngan",
        _ALL_SIZES,
        64,
        "relativistic",
        "adam",
        2e-4,
        beta1=0.5,
        d_width=16,
        one_pass=True,
        r1=0.05,
        r2=0.05,
        penalty_form="finite-difference",
    ),
}
