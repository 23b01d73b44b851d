"""The two networks of DCGAN: Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks" (2015), section 3.

Kernels are 4x4, as in the official PyTorch example (the paper: 5x5): a multiple of the stride covers every
output pixel the same number of times, so no checkerboard is built in. At 28 px the stem of the generator and
the head of the discriminator are 7x7, which leaves two doublings; at every other size they are 4x4.
"""

from itertools import pairwise

from torch import Tensor, nn

from drawwell_train.networks.base import LABEL_DIM, Discriminator, GeneratorNetwork
from drawwell_train.networks.convolutions import Conv2d, ConvTranspose2d

_STEM_PIXELS = {28: 7, 32: 4, 64: 4, 128: 4}


class DcganGenerator(GeneratorNetwork):
    """``width`` channels at half the image's size, doubled at every halving."""

    latent_shape = (1, 1)

    def __init__(self, size: int, channels: int, latent_dim: int, width: int, classes: int = 0) -> None:
        super().__init__(classes)
        stem_pixels, features = _STEM_PIXELS[size], _features(size, width)
        inputs = latent_dim + (LABEL_DIM if classes else 0)
        self.stem = nn.Sequential(
            ConvTranspose2d(inputs, features[-1], stem_pixels, bias=False),
            nn.BatchNorm2d(features[-1]),
            nn.ReLU(),
        )
        self.body = nn.Sequential(*(_up(wide, narrow) for narrow, wide in reversed(list(pairwise(features)))))
        self.head = nn.Sequential(ConvTranspose2d(features[0], channels, 4, stride=2, padding=1), nn.Tanh())
        self.apply(_initialise)


class DcganDiscriminator(Discriminator):
    """``width`` channels at half the image's size, doubled at every halving; without batch norm a WGAN-GP's critic."""

    def __init__(self, size: int, channels: int, width: int, classes: int = 0, batch_norm: bool = True) -> None:
        features = _features(size, width)
        super().__init__(classes, features[-1])
        self.stem = nn.Sequential(Conv2d(channels, features[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2))
        self.body = nn.Sequential(*(_down(narrow, wide, batch_norm) for narrow, wide in pairwise(features)))
        self.head = Conv2d(features[-1], 1, _STEM_PIXELS[size])
        self.apply(_initialise)

    def features(self, images: Tensor) -> Tensor:
        return super().features(self.stem(images))  # [N, wide, 4, 4], or 7x7


def _features(size: int, width: int) -> list[int]:
    """Channels from the image inwards: the width at half the size, doubled at every halving down to the stem."""
    halvings = (size // _STEM_PIXELS[size]).bit_length() - 1
    return [width << level for level in range(halvings)]


def _up(wide: int, narrow: int) -> nn.Sequential:
    return nn.Sequential(
        ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU()
    )


def _down(narrow: int, wide: int, batch_norm: bool) -> nn.Sequential:
    layer = Conv2d(narrow, wide, 4, stride=2, padding=1, bias=not batch_norm)
    return nn.Sequential(layer, *([nn.BatchNorm2d(wide)] if batch_norm else []), nn.LeakyReLU(0.2))


def _initialise(module: nn.Module) -> None:
    """All weights from N(0, 0.02) (section 4); batch norm's scale from N(1, 0.02) as the official example has it."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
