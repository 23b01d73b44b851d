"""A rewrite leaves the pixels as they are."""

import copy

import pytest
import torch
from torch import nn

from drawwell_export.rewrites import fold_batch_norms
from drawwell_train.networks import Generator


def trained(size: int, channels: int) -> Generator:
    """With batch norms that have seen something."""
    torch.manual_seed(0)
    generator = Generator(size, channels, 12, 4)
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
    for _ in range(5):
        generator(torch.randn(16, 12) * 3)
    return generator.eval()


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (64, 1), (128, 3)])
def test_folded_batch_norms_leave_the_images_equal(size: int, channels: int) -> None:
    generator = trained(size, channels)
    folded = fold_batch_norms(copy.deepcopy(generator))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    z = torch.randn(9, 12)
    assert torch.allclose(folded(z), generator(z), atol=2e-5)
