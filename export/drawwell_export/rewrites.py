"""Rewrites of a generator that leave its pixels as they are. Each takes and returns a torch module, so that it can
be read and tested against what it replaces; ``graph.export`` applies them in the order of ``REWRITES``."""

from collections.abc import Callable

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """In evaluation a batch norm is an affine map for each channel, so the transposed convolution before it can hold it.

    With scale s = gamma / sqrt(variance + eps): weight s * w, bias (b - mean) * s + beta (Ioffe and Szegedy 2015, section 3.1).
    """
    for block in list(network.modules()):
        if not isinstance(block, nn.Sequential):
            continue
        for position, (layer, norm) in enumerate(zip(list(block), list(block)[1:], strict=False)):
            if isinstance(layer, nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                block[position] = fuse_conv_bn_eval(layer, norm, transpose=True)
                block[position + 1] = nn.Identity()
    return network


REWRITES: tuple[Callable[[nn.Module], nn.Module], ...] = (fold_batch_norms,)
