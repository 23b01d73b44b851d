"""Batch norm over the whole batch where each of several processes has a shard of it.

torch's own, ``nn.SyncBatchNorm``, is for CUDA only.
"""

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from drawwell_train.distributed import world_size

_Norm = nn.BatchNorm1d | nn.BatchNorm2d


def synchronise_batch_norms(network: nn.Module) -> None:
    """Replace each batch norm by one over all processes. Parameters, buffers and their names stay."""
    if world_size() == 1:
        return
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, _Norm):
                setattr(parent, name, SharedBatchNorm(layer))


class SharedBatchNorm(nn.Module):
    """A batch norm (Ioffe and Szegedy 2015, algorithm 1) whose mean and variance are those of all processes' rows together."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, like: _Norm) -> None:
        super().__init__()
        self.eps, self.momentum = like.eps, cast(float, like.momentum)
        self.weight, self.bias = like.weight, like.bias
        for name, buffer in like.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C]`` or ``[N, C, H, W]`` to the same; in float32 inside, as torch's own is."""
        wide, dims = x.float(), [0, *range(2, x.dim())]
        # the mean is subtracted before anything is multiplied or squared: a large one would leave no digits
        center = wide.mean(dims) if self.training else self.running_mean  # [C]
        centered = wide - _along(center, x)
        offset, variance = self.running_mean.new_zeros(()), self.running_var
        if self.training:
            mean, variance = self._of_batch(center, centered.square().mean(dims), x.numel() // x.shape[1])
            offset = mean - center
        scale = self.weight * torch.rsqrt(variance + self.eps)  # [C]
        return torch.addcmul(_along(self.bias - offset * scale, x), centered, _along(scale, x)).to(x.dtype)

    def _of_batch(self, mean: Tensor, variance: Tensor, rows: int) -> tuple[Tensor, Tensor]:
        """Mean and variance ``[C]`` over all processes; the running ones move towards them."""
        mean, variance = _Merge.apply(mean, variance)  # type: ignore[no-untyped-call]
        rows *= world_size()
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (rows / (rows - 1)), self.momentum)
            self.num_batches_tracked += 1
        return mean, variance


class _Merge(torch.autograd.Function):
    """Means and variances ``[C]`` of equal shares to those of all rows, with one message each way.

    Chan, Golub and LeVeque 1979: the variance of all is the mean of the shares' variances plus the variance of their means.
    Unlike E[x^2] - E[x]^2 it has nothing large to cancel, and cannot fall below 0.
    """

    @staticmethod
    def forward(ctx: Any, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        own = torch.stack([mean, variance]).contiguous()
        shares = own.new_empty(dist.get_world_size(), *own.shape)  # [P, 2, C]
        dist.all_gather(list(shares), own)
        means, variances = shares.unbind(1)
        # from the first share's mean: the means are so near to one another that their sum would round more
        whole = means[0] + (means - means[0]).mean(0)
        ctx.save_for_backward(mean - whole)
        return whole, variances.mean(0) + (means - whole).square().mean(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_mean: Tensor, of_variance: Tensor) -> tuple[Tensor, Tensor]:
        """The mean over all processes, since the loss is the mean of the losses of all processes."""
        (offset,) = ctx.saved_tensors
        gradients = torch.stack([of_mean, of_variance])
        dist.all_reduce(gradients)
        of_mean, of_variance = gradients / dist.get_world_size()
        return of_mean + 2 * offset * of_variance, of_variance


def _along(channels: Tensor, x: Tensor) -> Tensor:
    """Reshape ``[C]`` so that it broadcasts over ``[N, C, ...]``."""
    return channels.reshape(-1, *[1] * (x.dim() - 2))
