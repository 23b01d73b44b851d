"""A rewrite leaves the images as they are."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from drawwell_export.rewrites import (
    ParitySplit,
    Projection,
    fold_batch_norms,
    merge_upsampling,
    project_stem,
    split_by_parity,
)
from drawwell_train.networks.dcgan import DcganGenerator as Generator


def trained(size: int, channels: int, width: int = 4) -> Generator:
    """With batch norms that have seen something, and images of some contrast."""
    torch.manual_seed(0)
    generator = Generator(size, channels, 12, width)
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
    generator.get_parameter("head.0.weight").data.mul_(20)
    for _ in range(5):
        generator(torch.randn(16, 12) * 3)
    return generator.eval().requires_grad_(False)


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (64, 1), (128, 3)])
def test_the_rewrites_leave_the_images_equal(size: int, channels: int) -> None:
    generator = trained(size, channels)
    z = torch.randn(9, 12)
    expected = generator(z)
    network: nn.Module = copy.deepcopy(generator)
    for rewrite in (fold_batch_norms, merge_upsampling, project_stem, split_by_parity):
        network = rewrite(network)
        torch.testing.assert_close(network(z), expected, atol=2e-5, rtol=0)
    kinds = [type(module) for module in network.modules()]
    assert nn.BatchNorm2d not in kinds
    assert kinds.count(Projection) == 1
    assert kinds.count(ParitySplit) == len(generator.body)
    transposed = [module for module in network.modules() if isinstance(module, nn.ConvTranspose2d)]
    assert len(transposed) == 1  # the last, to the image's channels


@settings(deadline=None, max_examples=150)
@given(
    kernel=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    more=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    pixels=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    bias=st.booleans(),
)
def test_four_convolutions_equal_one_transposed(
    kernel: tuple[int, int], padding: tuple[int, int], more: tuple[int, int], pixels: tuple[int, int], bias: bool
) -> None:
    layer = nn.ConvTranspose2d(6, 5, kernel, 2, padding, more, bias=bias).requires_grad_(False)
    smallest = min(2 * (p - 1) - 2 * pad + k + m for k, pad, m, p in zip(kernel, padding, more, pixels, strict=True))
    even = all((k + m) % 2 == 0 for k, m in zip(kernel, more, strict=True))
    assert ParitySplit.fits(layer) == even
    if not even or smallest < 2:
        return
    x = torch.randn(2, 6, *pixels)
    torch.testing.assert_close(ParitySplit(layer, nn.ReLU())(x), torch.relu(layer(x)), atol=1e-5, rtol=0)


def test_a_kernel_of_5_splits_into_3x3_3x2_2x3_and_2x2() -> None:
    split = ParitySplit(nn.ConvTranspose2d(6, 5, 5, 2, 2, 1), nn.ReLU())
    assert sorted(tuple(parity.get_parameter("weight").shape[2:]) for parity in split.parities) == [
        (2, 2),
        (2, 3),
        (3, 2),
        (3, 3),
    ]


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(6, 5, 4, 1, 1),
        nn.ConvTranspose2d(6, 5, 4, 3, 1),
        nn.ConvTranspose2d(6, 5, 3, 2, 1),
        nn.ConvTranspose2d(6, 5, 4, 2, 1, dilation=2),
        nn.ConvTranspose2d(6, 6, 4, 2, 1, groups=2),
        nn.ConvTranspose2d(6, 3, 4, 2, 1),
    ],
    ids=["stride 1", "stride 3", "odd output", "dilated", "grouped", "to colours"],
)
def test_what_does_not_fit_stays_and_is_right(layer: nn.ConvTranspose2d) -> None:
    network = nn.Sequential(layer, nn.ReLU())
    x = torch.randn(2, 6, 5, 5)
    expected = network(x)
    rewritten = split_by_parity(network)
    assert next(iter(rewritten.children())) is layer
    assert torch.equal(rewritten(x), expected)


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Conv2d(6, 5, 3), nn.BatchNorm2d(5, 1e-3), (6, 7, 7)),
        (nn.ConvTranspose2d(6, 5, 4, 2, bias=False), nn.BatchNorm2d(5), (6, 7, 7)),
        (nn.Linear(6, 5), nn.BatchNorm1d(5, 1e-3), (6,)),
    ],
    ids=["convolution", "transposed", "linear"],
)
def test_a_batch_norm_goes_into_the_layer_before_it(layer: nn.Module, norm: nn.Module, shape: tuple[int, ...]) -> None:
    network = nn.Sequential(layer, norm, nn.ReLU())
    nn.init.normal_(norm.get_parameter("weight"))
    nn.init.normal_(norm.get_parameter("bias"))
    network(torch.randn(16, *shape) * 3)
    x = torch.randn(4, *shape)
    expected = network.eval().requires_grad_(False)(x)
    folded = fold_batch_norms(network)
    assert [type(module) for module in folded.children()] == [type(layer), nn.ReLU]
    torch.testing.assert_close(folded(x), expected, atol=1e-5, rtol=0)


def test_a_batch_norm_after_an_activation_stays() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    kinds = [type(module) for module in network]
    assert [type(module) for module in fold_batch_norms(network).children()] == kinds


@settings(deadline=None, max_examples=60)
@given(
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    padding=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    pixels=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    bias=st.booleans(),
)
def test_doubling_and_a_convolution_equal_one_transposed(
    kernel: tuple[int, int], padding: tuple[int, int], pixels: tuple[int, int], bias: bool
) -> None:
    if any(2 * n + 2 * p < k for n, p, k in zip(pixels, padding, kernel, strict=True)):
        return  # no pixel would be left
    layer = nn.Conv2d(3, 5, kernel, padding=padding, bias=bias).requires_grad_(False)
    network = nn.Sequential(nn.Upsample(scale_factor=2), layer)
    x = torch.randn(2, 3, *pixels)
    expected = network(x)
    merged = merge_upsampling(network)
    fits = all(p < k for p, k in zip(padding, kernel, strict=True))
    assert [type(module) for module in merged.children()][-1] is (nn.ConvTranspose2d if fits else nn.Conv2d)
    torch.testing.assert_close(merged(x), expected, atol=1e-5, rtol=0)


def test_doubling_and_a_5x5_become_four_3x3() -> None:
    network: nn.Module = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 5, 5, padding=2), nn.ReLU())
    x = torch.randn(2, 3, 7, 7)
    expected = network.requires_grad_(False)(x)
    network = split_by_parity(merge_upsampling(network))
    (split,) = network.children()
    assert isinstance(split, ParitySplit)
    assert {tuple(parity.get_parameter("weight").shape) for parity in split.parities} == {(5, 3, 3, 3)}
    torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("upsampling", "layer"),
    [
        (nn.Upsample(scale_factor=3), nn.Conv2d(6, 6, 5, padding=2)),
        (nn.Upsample(size=10), nn.Conv2d(6, 6, 5, padding=2)),
        (nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(6, 6, 5, padding=2)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(6, 6, 5, padding=2, stride=2)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(6, 6, 3, padding=2, dilation=2)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(6, 6, 5, padding=2, groups=2)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(6, 6, 5, padding=2, padding_mode="reflect")),
    ],
    ids=["by 3", "to a size", "bilinear", "stride 2", "dilated", "grouped", "reflected"],
)
def test_what_cannot_be_merged_stays(upsampling: nn.Module, layer: nn.Module) -> None:
    network = nn.Sequential(upsampling, layer)
    assert list(merge_upsampling(network).children()) == [upsampling, layer]
