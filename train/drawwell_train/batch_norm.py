"""Batch norm over the whole batch where several processes have a share of it each.

torch's own, ``nn.SyncBatchNorm``, is for CUDA only.
"""

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from drawwell_train.processes import Processes

_Norm = nn.BatchNorm1d | nn.BatchNorm2d


def over_all(network: nn.Module, processes: Processes) -> None:
    """Put a norm over all processes in the place of each batch norm; parameters, buffers and their names stay."""
    if processes.count == 1:
        return
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, _Norm):
                setattr(parent, name, SharedBatchNorm(layer, processes.count))


class SharedBatchNorm(nn.Module):
    """A batch norm (Ioffe and Szegedy 2015, algorithm 1) whose mean and variance are those of all processes' rows together."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, like: _Norm, processes: int) -> None:
        super().__init__()
        self.eps, self.momentum, self.processes = like.eps, cast(float, like.momentum), processes
        self.weight, self.bias = like.weight, like.bias
        for name, buffer in like.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C]`` or ``[N, C, H, W]`` to the same; in float32 inside, as torch's own is."""
        mean, variance = self._of_batch(x) if self.training else (self.running_mean, self.running_var)
        scale = self.weight * torch.rsqrt(variance + self.eps)  # [C]
        shift = self.bias - mean * scale
        return torch.addcmul(_along(shift, x), x.float(), _along(scale, x)).to(x.dtype)

    def _of_batch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel; what is used in evaluation moves towards them."""
        wide, dims = x.float(), [0, *range(2, x.dim())]
        moments = torch.stack([wide.mean(dims), wide.square().mean(dims)])  # in one message
        mean, square = _Mean.apply(moments)  # type: ignore[no-untyped-call]
        variance = (square - mean.square()).clamp_min(0)  # which rounding may bring below
        with torch.no_grad():
            rows = self.processes * x.numel() // x.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (rows / (rows - 1)), self.momentum)
            self.num_batches_tracked += 1
        return mean, variance


class _Mean(torch.autograd.Function):
    """The mean of a tensor over all processes. So is its gradient, of the mean of all processes' losses."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        mean = tensor.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(mean)
        return mean / dist.get_world_size()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _Mean.forward(_, gradient)


def _along(channels: Tensor, x: Tensor) -> Tensor:
    """``[C]`` as what is broadcast over ``[N, C, ...]``."""
    return channels.reshape(-1, *[1] * (x.dim() - 2))
