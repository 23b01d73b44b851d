"""Rewrites of a generator into the form that a CPU runs fastest.

Each takes and returns a torch module that draws the same images, so that it can be tested against the original. A rewrite
leaves every layer that it does not fit unchanged.
"""

from typing import TypeVar

from torch import Tensor, cat, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

First = TypeVar("First", bound=nn.Module)
Second = TypeVar("Second", bound=nn.Module)

_FEW_CHANNELS = 4
"""Convolutions to fewer channels stay transposed: they would fill only a quarter of a vector."""


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """In evaluation a batch norm is an affine map for each channel, so the layer right before it can hold it.

    With scale s = gamma / sqrt(variance + eps): weight s * w, bias (b - mean) * s + beta (Ioffe and Szegedy 2015, section 3.1).
    One that comes after an activation stays.
    """
    for block, position, up, norm in _pairs(network, nn.ConvTranspose2d, nn.BatchNorm2d):
        _replace(block, position, fuse_conv_bn_eval(up, norm, transpose=True))
    for block, position, convolution, norm in _pairs(network, nn.Conv2d, nn.BatchNorm2d):
        _replace(block, position, fuse_conv_bn_eval(convolution, norm))
    for block, position, linear, norm1d in _pairs(network, nn.Linear, nn.BatchNorm1d):
        _replace(block, position, fuse_linear_bn_eval(linear, norm1d))
    return network


def merge_upsampling(network: nn.Module) -> nn.Module:
    """Doubling by nearest neighbours and the convolution after it as one transposed convolution.

    Along one axis, doubling makes of x ``u[2j + a] = x[j]`` for a in {0, 1}, and a convolution of kernel w, K taps and
    padding P makes of that ``y[i] = sum over k of w[k] u[i + k - P]``. Each product is one of ``x[j]`` with
    ``i = 2j + (a + K - 1 - k) - (K - 1 - P)``: a transposed convolution of stride 2 and padding K - 1 - P whose tap m is
    the sum of all ``w[k]`` with ``a + (K - 1 - k) = m``, the full convolution of the flipped w with (1, 1). It has K + 1
    taps. Of 5x5 products for each output 3x3 are left, and ``split_by_parity`` finds only as many.
    """
    for block, position, upsampling, layer in _pairs(network, nn.Upsample, nn.Conv2d):
        if _can_merge(upsampling, layer):
            _replace(block, position, _merged(layer))
    return network


def project_stem(network: nn.Module) -> nn.Module:
    """A transposed convolution of a single pixel is a matrix product: the stem, which makes a small picture of ``z``."""
    for block, position, layer, activation in _pairs(network, nn.ConvTranspose2d, nn.ReLU):
        if block is getattr(network, "stem", None) and Projection.fits(layer):
            _replace(block, position, Projection(layer, activation))
    return network


def split_by_parity(network: nn.Module) -> nn.Module:
    """Every transposed convolution of stride 2 as four convolutions, where ``ParitySplit`` fits."""
    for block, position, layer, activation in _pairs(network, nn.ConvTranspose2d, nn.ReLU):
        if ParitySplit.fits(layer):
            _replace(block, position, ParitySplit(layer, activation))
    return network


class Projection(nn.Module):
    """A transposed convolution of a 1x1 picture, and the ReLU after it: float ``[N, D, 1, 1]`` to ``[N, C, k, k]``."""

    def __init__(self, layer: nn.ConvTranspose2d, activation: nn.Module) -> None:
        super().__init__()
        dim, channels, *kernel = layer.weight.shape
        self.shape = channels, *kernel
        self.linear = nn.Linear(dim, channels * kernel[0] * kernel[1])
        self.linear.weight = nn.Parameter(layer.weight.flatten(1).t().contiguous(), requires_grad=False)
        self.linear.bias = nn.Parameter(_bias(layer).repeat_interleave(kernel[0] * kernel[1]), requires_grad=False)
        self.activation = activation  # before the view, so that a runtime can fuse it into the product

    @staticmethod
    def fits(layer: nn.ConvTranspose2d) -> bool:
        return (
            layer.padding == (0, 0)
            and layer.output_padding == (0, 0)
            and layer.dilation == (1, 1)
            and layer.groups == 1
        )

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.activation(self.linear(z.flatten(1))).view(-1, *self.shape)  # [N, C, k, k]
        return image


class ParitySplit(nn.Module):
    """A transposed convolution of stride 2 and the ReLU after it: float ``[N, Cin, H, W]`` to ``[N, Cout, 2H', 2W']``.

    Along one axis, with kernel w, padding p and input x, the output is ``y[i] = sum over k of w[k] x[(i + p - k) / 2]``
    over those k that leave an integer (Dumoulin and Visin 2016, chapter 4). An output of parity r, ``i = 2j + r``, so
    sees every second tap only, from ``k0 = (r + p) mod 2`` on: with ``c = (r + p - k0) / 2``,
    ``y[2j + r] = sum over t of w[k0 + 2t] x[j + c - t]``, a convolution of ``j`` with those taps in reverse. Two axes
    make four small convolutions. None multiplies by the zeros that a transposed convolution stands for, and ONNX
    Runtime runs them in its blocked layout at the speed of its best kernel. The results are interleaved channels
    last, where whole pixels are copied; DepthToSpace would copy single numbers and cost more than is gained.
    """

    def __init__(self, layer: nn.ConvTranspose2d, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation
        self.parities = nn.ModuleList(_Parity(layer, row, column) for row in (0, 1) for column in (0, 1))

    @staticmethod
    def fits(layer: nn.ConvTranspose2d) -> bool:
        even = all((k + more) % 2 == 0 for k, more in zip(layer.kernel_size, layer.output_padding, strict=True))
        simple = layer.stride == (2, 2) and layer.dilation == (1, 1) and layer.groups == 1
        return simple and even and min(layer.kernel_size) >= 2 and layer.out_channels >= _FEW_CHANNELS

    def forward(self, x: Tensor) -> Tensor:
        quarters = [self.activation(parity(x)) for parity in self.parities]  # 4 of [N, C, H, W]
        _, channels, height, width = quarters[0].shape
        pixels = cat(quarters, 1).permute(0, 2, 3, 1)  # [N, H, W, 4C]
        pixels = pixels.reshape(-1, height, width, 2, 2, channels).transpose(2, 3)  # [N, H, 2, W, 2, C]
        return pixels.reshape(-1, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)  # [N, C, 2H, 2W]


class _Parity(nn.Module):
    """The outputs at one parity of row and column: float ``[N, Cin, H, W]`` to ``[N, Cout, H', W']``."""

    def __init__(self, layer: nn.ConvTranspose2d, row: int, column: int) -> None:
        super().__init__()
        assert not isinstance(layer.padding, str), "a transposed convolution takes numbers only"
        (top, above, below), (left, before, after) = (
            _taps(parity, kernel, padding, more)
            for parity, kernel, padding, more in zip(
                (row, column), layer.kernel_size, layer.padding, layer.output_padding, strict=True
            )
        )
        weight = layer.weight[:, :, top::2, left::2].flip(2, 3).transpose(0, 1).contiguous()  # [Cout, Cin, h, w]
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(_bias(layer).clone(), requires_grad=False)
        self.padding = before, after, above, below

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, self.padding), self.weight, self.bias)


def _taps(parity: int, kernel: int, padding: int, output_padding: int) -> tuple[int, int, int]:
    """The first tap of a parity, and the zeros before and after the input (below 0: what is cut off)."""
    first = (parity + padding) % 2
    shift, taps = (parity + padding - first) // 2, len(range(first, kernel, 2))
    grown = (kernel + output_padding - 2 * padding - 2) // 2  # H' - H
    return first, taps - 1 - shift, grown + shift


def _bias(layer: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    return layer.bias if layer.bias is not None else layer.weight.new_zeros(layer.out_channels)


def _can_merge(upsampling: nn.Upsample, layer: nn.Conv2d) -> bool:
    doubles = upsampling.scale_factor in (2, (2, 2)) and upsampling.mode == "nearest"
    simple = layer.stride == layer.dilation == (1, 1) and layer.groups == 1 and layer.padding_mode == "zeros"
    return doubles and simple and all(pad < k for pad, k in zip(_padding(layer), layer.kernel_size, strict=True))


def _merged(layer: nn.Conv2d) -> nn.ConvTranspose2d:
    (height, width), (above, left) = layer.kernel_size, _padding(layer)
    kernel, padding = (height + 1, width + 1), (height - 1 - above, width - 1 - left)
    merged = nn.ConvTranspose2d(layer.in_channels, layer.out_channels, kernel, 2, padding)
    flipped = F.pad(layer.weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))  # [Cin, Cout, K + 2, K + 2]
    weight = F.avg_pool2d(flipped, 2, stride=1, divisor_override=1)  # sums of 2x2, [Cin, Cout, K + 1, K + 1]
    merged.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    merged.bias = nn.Parameter(_bias(layer).clone(), requires_grad=False)
    return merged


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    assert not isinstance(layer.padding, str), "the networks say their padding in pixels"
    above, left = layer.padding
    return above, left


def _pairs(
    network: nn.Module, first: type[First], second: type[Second]
) -> list[tuple[nn.Sequential, int, First, Second]]:
    """Where a ``first`` is followed by a ``second``, last pair first, so that it may be replaced by one module."""
    return [
        (block, position, layer, follower)
        for block in network.modules()
        if isinstance(block, nn.Sequential)
        for position in reversed(range(len(block) - 1))
        if isinstance(layer := block[position], first) and isinstance(follower := block[position + 1], second)
    ]


def _replace(block: nn.Sequential, position: int, module: nn.Module) -> None:
    """Put one module in the place of a pair."""
    block[position] = module
    del block[position + 1]
