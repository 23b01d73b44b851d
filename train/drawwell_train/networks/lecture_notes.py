"""Three small GANs of lecture notes for 28 and 32 pixels, with the layers of Keras: mlp, cnn and deep-cnn.

Keras' batch norm has an epsilon of 1e-3, and a momentum of m is torch's 1 - m. Padding is "same": a convolution of stride 2
halves the size, a transposed one doubles it. Weights start from Glorot's uniform distribution, as in Keras; those of the mlp from
He's normal one (He et al. 2015, equation 10).
"""

import math
from functools import partial
from itertools import pairwise

from torch import nn

from drawwell_train.networks.base import LABEL_DIM, Discriminator, GeneratorNetwork
from drawwell_train.networks.convolutions import Conv2d, ConvTranspose2d

_EPSILON = 1e-3
_DROPOUT = 0.4


class MlpGenerator(GeneratorNetwork):
    """z to ``width``, 3/2 ``width`` and the pixels: 100, 150 and 784 in the notes. ReLU, and a sigmoid at the end."""

    def __init__(self, size: int, channels: int, latent_dim: int, width: int, classes: int = 0) -> None:
        super().__init__(classes)
        wider = 3 * width // 2
        self.stem = nn.Sequential(nn.Linear(_inputs(latent_dim, classes), width), nn.ReLU())
        self.body = nn.Sequential(nn.Linear(width, wider), nn.ReLU())
        pixels = nn.Sequential(nn.Linear(wider, channels * size * size), nn.Unflatten(1, (channels, size, size)))
        self.head = nn.Sequential(pixels, nn.Sigmoid())
        self.apply(_by_he)


class MlpDiscriminator(Discriminator):
    """The pixels to 3/2 ``width``, ``width`` and 1: 784, 150, 100 and 1 in the notes."""

    def __init__(self, size: int, channels: int, width: int, classes: int = 0) -> None:
        super().__init__(classes, width)
        wider = 3 * width // 2
        hidden = nn.Linear(channels * size * size, wider), nn.ReLU(), nn.Linear(wider, width), nn.ReLU()
        self.body = nn.Sequential(nn.Flatten(), *hidden, nn.Unflatten(1, (width, 1, 1)))  # [N, width, 1, 1]
        self.head = _dense(width)
        self.apply(_by_he)


class CnnGenerator(GeneratorNetwork):
    """A quarter of the size with 2 ``width`` channels, half of it with ``width``, the image. Batch norms of momentum 0.99."""

    def __init__(self, size: int, channels: int, latent_dim: int, width: int, classes: int = 0) -> None:
        super().__init__(classes)
        norm = partial(nn.BatchNorm2d, eps=_EPSILON, momentum=0.01)
        up = partial(ConvTranspose2d, kernel_size=5, stride=2, padding=2, output_padding=1)
        side, inputs = size // 4, _inputs(latent_dim, classes)
        shape = 2 * width, side, side
        self.stem = nn.Sequential(nn.Linear(inputs, 2 * width * side**2), nn.Unflatten(1, shape), norm(2 * width))
        self.body = nn.Sequential(up(2 * width, width), nn.ReLU(), norm(width))
        self.head = nn.Sequential(up(width, channels), nn.Tanh())
        self.apply(_by_glorot)


class CnnDiscriminator(Discriminator):
    """Two convolutions, to ``width`` and 2 ``width`` channels, each followed by LeakyReLU and dropout."""

    def __init__(self, size: int, channels: int, width: int, classes: int = 0) -> None:
        super().__init__(classes, 2 * width)
        blocks = (_down(a, b, 2, nn.LeakyReLU(0.2)) for a, b in pairwise([channels, width, 2 * width]))
        self.body = nn.Sequential(*blocks)  # [N, 2 width, S/4, S/4]
        self.head = _dense(2 * width * (size // 4) ** 2)
        self.apply(_by_glorot)


class DeepCnnGenerator(GeneratorNetwork):
    """A quarter of the size with ``width`` channels, doubled twice by upsampling. Batch norms of momentum 0.9."""

    def __init__(self, size: int, channels: int, latent_dim: int, width: int, classes: int = 0) -> None:
        super().__init__(classes)
        side = size // 4
        units = width * side**2
        self.stem = nn.Sequential(
            nn.Linear(_inputs(latent_dim, classes), units),
            nn.BatchNorm1d(units, _EPSILON),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Unflatten(1, (width, side, side)),
        )
        narrow = [width >> level for level in range(4)]
        blocks = [self._block(a, b, level < 2) for level, (a, b) in enumerate(pairwise(narrow))]
        self.body = nn.Sequential(*blocks)  # [N, width / 8, S, S]
        self.head = nn.Sequential(Conv2d(narrow[-1], channels, 5, padding=2), nn.Sigmoid())
        self.apply(_by_glorot)

    @staticmethod
    def _block(wide: int, narrow: int, upsample: bool) -> nn.Sequential:
        layers = Conv2d(wide, narrow, 5, padding=2), nn.BatchNorm2d(narrow, _EPSILON), nn.ReLU()
        return nn.Sequential(*([nn.Upsample(scale_factor=2)] if upsample else []), *layers)


class DeepCnnDiscriminator(Discriminator):
    """Four convolutions, to 1, 2, 4 and 8 times ``width`` channels, each followed by ReLU and dropout; the last has stride 1."""

    def __init__(self, size: int, channels: int, width: int, classes: int = 0) -> None:
        super().__init__(classes, 8 * width)
        features = [channels, *(width << level for level in range(4))]
        strides = 2, 2, 2, 1
        blocks = (_down(a, b, stride, nn.ReLU()) for (a, b), stride in zip(pairwise(features), strides, strict=True))
        self.body = nn.Sequential(*blocks)  # [N, 8 width, 4, 4]
        self.head = _dense(8 * width * math.ceil(size / 8) ** 2)
        self.apply(_by_glorot)


def _inputs(latent_dim: int, classes: int) -> int:
    return latent_dim + (LABEL_DIM if classes else 0)


def _down(narrow: int, wide: int, stride: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(Conv2d(narrow, wide, 5, stride=stride, padding=2), activation, nn.Dropout(_DROPOUT))


def _dense(features: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(features, 1))


def _by_he(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)


def _by_glorot(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
