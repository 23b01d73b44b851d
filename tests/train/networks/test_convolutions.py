"""Convolutions that learn in bfloat16 are torch's, but for the last digits of a gradient."""

import pytest
import torch
from torch import Tensor, nn

from drawwell_train.networks.convolutions import Conv2d, ConvTranspose2d

CASES = {
    "halves": (Conv2d(6, 5, 4, stride=2, padding=1), 16),
    "with many places": (Conv2d(6, 5, 4, stride=2, padding=1), 32),
    "head": (Conv2d(6, 1, 7), 7),
    "odd kernel of stride 2": (Conv2d(6, 5, 5, stride=2, padding=2, bias=False), 14),
    "of stride 1": (Conv2d(6, 5, 5, padding=2), 7),
    "doubles": (ConvTranspose2d(6, 5, 4, stride=2, padding=1), 8),
    "doubles many places": (ConvTranspose2d(6, 5, 4, stride=2, padding=1), 16),
    "stem": (ConvTranspose2d(6, 5, 7, bias=False), 1),
    "odd kernel that doubles": (ConvTranspose2d(6, 5, 5, stride=2, padding=2, output_padding=1), 7),
}


def learn(layer: nn.Module, x: Tensor, precision: torch.dtype) -> tuple[Tensor, ...]:
    """The output, and the gradients of the input and of the weights."""
    x = x.clone().requires_grad_(True)
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        y = layer(x)
    (y.float() * torch.linspace(-1, 1, y[0].numel()).view_as(y[0])).sum().backward()
    assert y.dtype == precision
    gradients = [tensor.grad for tensor in (x, *layer.parameters()) if tensor.grad is not None]
    return y.detach().float(), *(gradient.clone() for gradient in gradients)


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_are_those_of_float32_within_bfloat16(case: str) -> None:
    """Of 32 images: of 4 the head has 4 numbers, and in one of 100 layers these were all so near to 0 that rounding was 1 % of them."""
    layer, size = CASES[case]
    x = torch.randn(32, 6, size, size, generator=torch.Generator().manual_seed(1))
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pairs = zip(learn(layer, x, torch.bfloat16), learn(layer, x, torch.float32), strict=True)
    for fast, exact in pairs:
        assert fast.dtype == torch.float32
        assert torch.linalg.vector_norm(fast - exact) < 0.01 * torch.linalg.vector_norm(exact)


def test_in_float32_they_are_torchs_own() -> None:
    x = torch.randn(4, 6, 16, 16)
    for layer, plain in (
        (Conv2d(6, 5, 4, 2, 1), nn.Conv2d(6, 5, 4, 2, 1)),
        (ConvTranspose2d(6, 5, 4), nn.ConvTranspose2d(6, 5, 4)),
    ):
        plain.load_state_dict(layer.state_dict())
        for one, other in zip(learn(layer, x, torch.float32), learn(plain, x, torch.float32), strict=True):
            assert torch.equal(one, other)
