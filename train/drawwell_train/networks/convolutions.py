"""Convolutions with a faster gradient of the weights, for training in bfloat16 on a processor.

On one core of an EPYC whose matrix product reaches 450 Gflop/s, oneDNN reached 400 in the forward pass and for the gradient of the
input, but 200 to 300 for the gradient of the weights. Its threads also wait for one another many times in it, which takes far longer
while another process keeps a core busy. The gradient of the weights is itself one matrix product (Chellapilla et al. 2006): of the
gradient at the places of the smaller map, and the patches of the larger map that those places see. Where the smaller map has many
places, the patches are too many to copy; there, and in float32, torch's own convolutions are used.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MOST_PLACES = 64
"""Most places of the smaller map, 8x8. At 16x16 the copy costs more than it gains."""

_Pair = tuple[int, int]


class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` of one group, without dilation."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight  # read once: spectral normalisation computes it at every access
        if not _learns_in_bfloat16(x, weight):
            images: Tensor = self._conv_forward(x, weight, self.bias)
            return images
        options = False, self.stride, self.padding, self.output_padding
        return _Convolution.apply(x, weight, self.bias, *options)  # type: ignore[no-untyped-call, no-any-return]


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` of one group, without dilation."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not _learns_in_bfloat16(x, self.weight):
            return super().forward(x, output_size)
        options = True, self.stride, self.padding, self.output_padding
        return _Convolution.apply(x, self.weight, self.bias, *options)  # type: ignore[no-untyped-call, no-any-return]


def _learns_in_bfloat16(x: Tensor, weight: Tensor) -> bool:
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return autocast and x.device.type == "cpu" and weight.requires_grad and torch.is_grad_enabled()


class _Convolution(torch.autograd.Function):
    """``[N, C, H, W]`` of any float type to bfloat16. Gradients are float32 for the weights, and of the type of ``x`` for ``x``."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        transposed: bool,
        stride: _Pair,
        pad: _Pair,
        extra: _Pair,
    ) -> Tensor:
        ctx.options = stride, pad, (1, 1), transposed, extra, 1
        ctx.x_dtype, ctx.biased = x.dtype, bias is not None
        x, weight = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(x, weight)
        return torch.convolution(x, weight, None if bias is None else bias.bfloat16(), *ctx.options)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        (stride, _), (pad, _), _, transposed, *_ = ctx.options
        small, large = (x, gradient) if transposed else (gradient, x)
        fits = small.shape[2] * small.shape[3] <= _MOST_PLACES
        needed = [ctx.needs_input_grad[0], not fits, False]
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(gradient, x, weight, None, *ctx.options, needed)
        if fits:
            of_weight = _weight_gradient(small, large, weight.shape[2], stride, pad)
        of_bias = gradient.float().sum((0, 2, 3)) if ctx.biased else None
        return None if of_x is None else of_x.to(ctx.x_dtype), of_weight.float(), of_bias, None, None, None, None


def _weight_gradient(small: Tensor, large: Tensor, kernel: int, stride: int, pad: int) -> Tensor:
    """``[N, A, h, w]`` and ``[N, B, H, W]`` to ``[A, B, kernel, kernel]``, laid out as weights are in channels_last."""
    count, channels, height, width = small.shape
    rows = F.pad(large.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))  # [N, H + 2 pad, W + 2 pad, B]
    of_n, of_y, of_x, of_c = rows.stride()
    shape = count, height, width, kernel, kernel, rows.shape[3]
    patches = rows.as_strided(shape, (of_n, stride * of_y, stride * of_x, of_y, of_x, of_c)).flatten(3).flatten(0, 2)
    places = small.permute(0, 2, 3, 1).reshape(-1, channels)  # [N h w, A]
    return (places.T @ patches).view(channels, kernel, kernel, -1).permute(0, 3, 1, 2)
