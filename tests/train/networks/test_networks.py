"""The networks of Radford et al. 2015, as the official PyTorch example sizes them."""

import pytest
import torch
from torch import nn

from drawwell_train.networks.base import to_pixels
from drawwell_train.networks.dcgan import DcganDiscriminator as Discriminator
from drawwell_train.networks.dcgan import DcganGenerator

PARAMETERS = {
    (28, 1): (759_681, 138_689),
    (32, 1): (1_066_881, 661_313),
    (32, 3): (1_068_931, 663_361),
    (64, 3): (3_576_707, 2_765_633),
    (128, 3): (12_786_563, 11_164_481),
}
"""Of G and D at width 64. The official example's at 64 px have 3,576,704 and 2,765,568: ours add the biases of the
layers without batch norm, 3 in G's head, and 64 + 1 in D's stem and head."""


@pytest.mark.parametrize(("size", "channels"), PARAMETERS)
def test_parameter_counts_are_pinned(size: int, channels: int) -> None:
    networks = DcganGenerator(size, channels, 100, 64), Discriminator(size, channels, 64)
    assert tuple(sum(p.numel() for p in network.parameters()) for network in networks) == PARAMETERS[size, channels]


@pytest.mark.parametrize("size", [28, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_logits_have_their_shapes_and_ranges(size: int, channels: int) -> None:
    images = DcganGenerator(size, channels, 10, 4)(torch.randn(3, 10))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert Discriminator(size, channels, 4)(images).shape == (3,)


def test_the_architecture_follows_section_3() -> None:
    generator, discriminator = DcganGenerator(64, 3, 100, 8), Discriminator(64, 3, 8)
    layers = [*generator.modules(), *discriminator.modules()]
    assert not any(isinstance(layer, nn.Linear | nn.MaxPool2d | nn.AvgPool2d) for layer in layers)
    assert not any(
        isinstance(layer, nn.BatchNorm2d) for layer in [*generator.head.modules(), *discriminator.stem.modules()]
    )
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    assert {layer.kernel_size for layer in convolutions} == {(4, 4)}
    strided = [layer for layer in convolutions if layer not in (generator.stem[0], discriminator.head)]
    assert {layer.stride for layer in strided} == {(2, 2)}
    assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.2}


def test_weights_start_as_section_4_says() -> None:
    torch.manual_seed(0)
    generator = DcganGenerator(64, 3, 100, 64)
    weights = torch.cat(
        [layer.weight.detach().flatten() for layer in generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    )
    assert weights.mean().abs() < 1e-4
    assert weights.std() == pytest.approx(0.02, rel=0.01)


def test_pixels_are_scaled_rounded_and_channels_last() -> None:
    images = torch.tensor([-1.0, 0.0, 1.0, -2.0, 2.0, 0.5]).reshape(1, 1, 2, 3)
    pixels = to_pixels(images)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (1, 2, 3, 1)
    assert pixels.flatten().tolist() == [0, 128, 255, 0, 255, 191]
