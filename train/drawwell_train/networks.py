"""The two networks of DCGAN: Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks" (2015), section 3.

Kernels are 4x4, as in the official PyTorch example (the paper: 5x5): a multiple of the stride covers every
output pixel the same number of times, so no checkerboard is built in. At 28 px the stem of the generator and
the head of the discriminator are 7x7, which leaves two doublings; at every other size they are 4x4.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

ImageSize = Literal[28, 32, 64, 128]

_STEM_PIXELS = {28: 7, 32: 4, 64: 4, 128: 4}


class Generator(nn.Module):
    """Latents float32 ``[N, D]`` to images float32 ``[N, C, S, S]`` in [-1, 1]."""

    def __init__(self, size: int, channels: int, latent_dim: int, width: int) -> None:
        super().__init__()
        stem_pixels, features = _STEM_PIXELS[size], _features(size, width)
        self.stem = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, features[-1], stem_pixels, bias=False),
            nn.BatchNorm2d(features[-1]),
            nn.ReLU(),
        )
        self.body = nn.Sequential(*(_up(wide, narrow) for narrow, wide in reversed(list(pairwise(features)))))
        self.head = nn.Sequential(nn.ConvTranspose2d(features[0], channels, 4, stride=2, padding=1), nn.Tanh())
        self.apply(_initialise)

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z.reshape(-1, z.shape[1], 1, 1))  # [N, wide, 4, 4], or 7x7
        x = self.body(x)  # [N, width, S/2, S/2]
        images: Tensor = self.head(x)  # [N, C, S, S]
        return images


class Discriminator(nn.Module):
    """Images float32 ``[N, C, S, S]`` in [-1, 1] to logits float32 ``[N]``: D(x) is their sigmoid."""

    def __init__(self, size: int, channels: int, width: int) -> None:
        super().__init__()
        features = _features(size, width)
        self.stem = nn.Sequential(nn.Conv2d(channels, features[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2))
        self.body = nn.Sequential(*(_down(narrow, wide) for narrow, wide in pairwise(features)))
        self.head = nn.Conv2d(features[-1], 1, _STEM_PIXELS[size])
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images)).flatten()  # [N]
        return logits

    def features(self, images: Tensor) -> Tensor:
        """The last feature map: float32 ``[N, wide, 4, 4]``, or 7x7."""
        x = self.stem(images)  # [N, width, S/2, S/2]
        features: Tensor = self.body(x)  # [N, wide, 4, 4], or 7x7
        return features


def _features(size: int, width: int) -> list[int]:
    """Channels from the image inwards: the width at half the size, doubled at every halving down to the stem."""
    halvings = (size // _STEM_PIXELS[size]).bit_length() - 1
    return [width << level for level in range(halvings)]


def _up(wide: int, narrow: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU()
    )


def _down(narrow: int, wide: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2)
    )


def _initialise(module: nn.Module) -> None:
    """All weights from N(0, 0.02) (section 4); batch norm's scale from N(1, 0.02) as the official example has it."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def to_pixels(images: Tensor) -> Tensor:
    """Float ``[N, C, H, W]`` in [-1, 1] to uint8 ``[N, H, W, C]``: scaled to [0, 255], rounded half to even. In the exported graph too."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def to_images(pixels: Tensor) -> Tensor:
    """The inverse: uint8 ``[N, H, W, C]`` to float32 ``[N, C, H, W]`` in [-1, 1]."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
