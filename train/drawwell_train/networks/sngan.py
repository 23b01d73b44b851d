"""The discriminator of SNGAN: Miyato et al., "Spectral Normalization for Generative Adversarial Networks"
(2018), table 3.

Pairs of convolutions, 3x3 and then 4x4 with stride 2, at each size; leaky ReLUs of slope 0.1. Features are summed over places
before the last layer (Miyato and Koyama 2018), so that the class and the look of an image are judged on one scale.
"""

import torch
from torch import Tensor, nn

from drawwell_train.networks.base import Discriminator
from drawwell_train.networks.convolutions import Conv2d
from drawwell_train.presets import STD_GROUP

_LEAKY_SLOPE = 0.1
_SMALLEST_PIXELS = 4
"""Largest size after the last halving."""
_MOST_DOUBLINGS = 3


class SnganDiscriminator(Discriminator):
    """``width`` channels at the image's size, doubled at every halving and at most eightfold: at 32 px and width 64 they are
    64-64-128-128-256-256-512.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        width: int,
        classes: int = 0,
        batch_norm: bool = False,
        minibatch_std: bool = False,
    ) -> None:
        features = width << _MOST_DOUBLINGS
        super().__init__(classes, features)
        layers, inputs = list[nn.Module](), channels
        for level in range(_halvings(size)):
            outputs = width << min(level, _MOST_DOUBLINGS)
            layers += _convolution(
                inputs, outputs, 3, 1, batch_norm and level > 0
            )  # none at the image (Radford et al. 2015)
            layers += _convolution(outputs, outputs, 4, 2, batch_norm)
            inputs = outputs
        if minibatch_std:
            layers.append(MinibatchStd())
        layers += _convolution(inputs + minibatch_std, features, 3, 1, batch_norm)
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(SumOverPlaces(), nn.Linear(features, 1))


class MinibatchStd(nn.Module):
    """One more channel: the standard deviation within groups of ``STD_GROUP`` images, averaged over places and channels (Karras et
    al. 2018, section 3). Groups are of images that follow one another.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C + 1, H, W]``. Where ``STD_GROUP`` does not divide N, each image is alone, without deviation."""
        count, _, height, width = x.shape
        group = STD_GROUP if count % STD_GROUP == 0 else 1
        variance = x.float().reshape(-1, group, *x.shape[1:]).var(1, correction=0)  # [N / group, C, H, W]
        deviation = (variance + 1e-8).sqrt().mean((1, 2, 3)).repeat_interleave(group)  # [N]
        return torch.cat([x, deviation.to(x.dtype)[:, None, None, None].expand(-1, 1, height, width)], 1)


class SumOverPlaces(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C]``."""
        return x.flatten(2).sum(2)


def _halvings(size: int) -> int:
    """How often the size is halved until ``_SMALLEST_PIXELS`` or fewer are left."""
    halvings = 0
    while size >> halvings > _SMALLEST_PIXELS:
        halvings += 1
    return halvings


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, batch_norm: bool) -> list[nn.Module]:
    layer = Conv2d(inputs, outputs, kernel, stride=stride, padding=1, bias=not batch_norm)
    nn.init.orthogonal_(layer.weight)
    norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
    return [layer, *norm, nn.LeakyReLU(_LEAKY_SLOPE)]
