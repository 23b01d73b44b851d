"""What keeps D smooth beside its loss: penalties of its gradient, and of saying otherwise of an image that was only moved."""

from collections.abc import Callable

import torch
from torch import Tensor

Critic = Callable[[Tensor], Tensor]
"""Images ``[N, C, S, S]`` to logits ``[N]``."""

NOISE = 0.05
"""Standard deviation of the finite difference's noise. Lin et al. 2025 take 0.01; bfloat16 tells logits apart from 0.05 on."""


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """``mean of (|gradient of f at x'| - 1)**2`` with ``x' = epsilon x + (1 - epsilon) G(z)`` (Gulrajani et al. 2017, equation 3).

    ``epsilon``, float ``[N]``, is one number from U(0, 1) for each image. The norm is over all of an image's numbers.
    """
    between = torch.lerp(fake, real, epsilon.reshape(-1, 1, 1, 1)).requires_grad_(True)
    norms: Tensor = torch.linalg.vector_norm(_gradient(critic, between), dim=1)
    return ((norms - 1) ** 2).mean()


def squared_gradient(critic: Critic, images: Tensor) -> Tensor:
    """``mean of |gradient of f at x|**2``: R1 at real and R2 at generated images, without ``gamma / 2`` (Mescheder et al. 2018,
    equations 9 and 10).
    """
    return _gradient(critic, images.detach().requires_grad_(True)).square().sum(1).mean()


def squared_difference(critic: Critic, images: Tensor, noise: Tensor) -> Tensor:
    """``mean of (f(x + s n) - f(x))**2 / s**2``: with normal noise n and a small s, ``squared_gradient`` in the mean, without a
    gradient of a gradient (Lin et al. 2025, "Diffusion adversarial post-training", section 3). s is ``NOISE``.

    Both are judged in one pass, so that nothing but the noise makes the difference.
    """
    noisy, clean = critic(torch.cat([images + NOISE * noise, images])).chunk(2)
    return ((noisy - clean) / NOISE).square().mean()


def inconsistency(
    critic: Critic, images: Tensor, logits: Tensor, rows: Tensor, columns: Tensor, mirrored: Tensor
) -> Tensor:
    """``mean of (f(x) - f(T(x)))**2``, without lambda (Zhang et al. 2020, "Consistency regularization for GANs", section 2).

    T moves an image by ``rows`` and ``columns``, int64 ``[N]``, and mirrors it where ``mirrored``, bool ``[N]``. What comes in at an
    edge is the image's own reflection.
    """
    return (critic(moved(images, rows, columns, mirrored)) - logits).square().mean()


def moved(images: Tensor, rows: Tensor, columns: Tensor, mirrored: Tensor) -> Tensor:
    size = images.shape[-1]
    place = torch.arange(size, device=images.device)
    down, right = (_reflected(place + shift[:, None], size) for shift in (rows, columns))  # [N, S]
    right = torch.where(mirrored[:, None], size - 1 - right, right)
    count = torch.arange(len(images), device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[count, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Places beyond an edge as those before it; the edge itself is not repeated."""
    return size - 1 - (size - 1 - places.abs()).abs()


def _gradient(critic: Critic, images: Tensor) -> Tensor:
    """float ``[N, C S S]``, which can be differentiated itself."""
    (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradient.flatten(1)
