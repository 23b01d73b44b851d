"""What keeps D smooth, beside its loss: gradient penalties and consistency regularisation."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from drawwell_train.config import TrainConfig
from drawwell_train.distributed import random_shard
from drawwell_train.networks.base import Discriminator, discriminate, packed
from drawwell_train.step.augment import furthest_shift

Critic = Callable[[Tensor], Tensor]
"""Images ``[N, C, S, S]`` to logits ``[N]``."""

NOISE = 0.05
"""Standard deviation of the finite difference's noise. Lin et al. 2025 use 0.01; bfloat16 separates the logits only from 0.05 on."""


def regularization(
    network: Discriminator,
    config: TrainConfig,
    step: int,
    real: Tensor,
    fake: Tensor,
    real_logits: Tensor,
    labels: Tensor | None,
) -> Tensor:
    """The penalties that a configuration asks for, weighted and summed.

    Args:
        network: the discriminator.
        config: the weights.
        step: number of the step, from 0.
        real: real images float ``[N, C, S, S]`` as D saw them.
        fake: generated images, likewise.
        real_logits: D's logits of ``real``.
        labels: int64 ``[N]``, where classes are learned.

    Returns:
        A 0-d tensor; 0 where the configuration asks for none.
    """
    total = real_logits.new_zeros(())
    if config.penalty:
        total = total + config.penalty * _gradient_penalty(network, config, real, fake, labels)
    if step % config.penalty_every == 0:
        squared = _squared_gradient if config.penalty_form == "exact" else _squared_difference
        for gamma, images in ((config.r1, real), (config.r2, fake)):
            if gamma:
                total = total + config.penalty_every * gamma / 2 * squared(network, config, images, labels)
    if config.consistency:
        total = total + config.consistency * _inconsistency(network, config, real, real_logits, labels)
    return total


def _gradient_penalty(
    network: Discriminator, config: TrainConfig, real: Tensor, fake: Tensor, labels: Tensor | None
) -> Tensor:
    real, fake = (packed(images.float(), config.pack) for images in (real, fake))
    epsilon = random_shard(torch.rand, (len(real),), real.device)
    return gradient_penalty(partial(network, label=labels), real, fake, epsilon)


def _squared_gradient(network: Discriminator, config: TrainConfig, images: Tensor, labels: Tensor | None) -> Tensor:
    """In float32: bfloat16 has too few digits for a gradient of a gradient."""
    return squared_gradient(partial(network, label=labels), packed(images.float(), config.pack))


def _squared_difference(network: Discriminator, config: TrainConfig, images: Tensor, labels: Tensor | None) -> Tensor:
    noise = random_shard(torch.randn, tuple(images.shape), images.device)
    both = None if labels is None else torch.cat([labels, labels])
    return squared_difference(partial(discriminate, network, config, labels=both), images.float(), noise)


def _inconsistency(
    network: Discriminator, config: TrainConfig, images: Tensor, logits: Tensor, labels: Tensor | None
) -> Tensor:
    furthest, count, device = furthest_shift(images), (len(images),), images.device
    rows, columns = (random_shard(partial(torch.randint, -furthest, furthest + 1), count, device) for _ in "yx")
    mirrored = random_shard(partial(torch.randint, 2), count, device) * config.flip > 0
    critic = partial(discriminate, network, config, labels=labels)
    return inconsistency(critic, images, logits, rows, columns, mirrored)


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """``mean of (|gradient of f at x'| - 1)**2`` with ``x' = epsilon x + (1 - epsilon) G(z)`` (Gulrajani et al. 2017, equation 3).

    ``epsilon``, float ``[N]``, holds a number from U(0, 1) per image. The norm is over all numbers of an image.
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
    """``mean of (f(x + s n) - f(x))**2 / s**2``, which with normal noise n and a small s estimates ``squared_gradient`` without double
    backpropagation (Lin et al. 2025, "Diffusion adversarial post-training", section 3). s is ``NOISE``.

    One pass computes both logits, so that nothing but the noise makes the difference.
    """
    noisy, clean = critic(torch.cat([images + NOISE * noise, images])).chunk(2)
    return ((noisy - clean) / NOISE).square().mean()


def inconsistency(
    critic: Critic, images: Tensor, logits: Tensor, rows: Tensor, columns: Tensor, mirrored: Tensor
) -> Tensor:
    """``mean of (f(x) - f(T(x)))**2``, without lambda (Zhang et al. 2020, "Consistency regularization for GANs", section 2).

    T shifts an image by ``rows`` and ``columns``, int64 ``[N]``, and mirrors it where ``mirrored``, bool ``[N]``. Reflection fills
    the edges.
    """
    return (critic(moved(images, rows, columns, mirrored)) - logits).square().mean()


def moved(images: Tensor, rows: Tensor, columns: Tensor, mirrored: Tensor) -> Tensor:
    """Shift each image by its rows and columns, and mirror it where ``mirrored``: ``[N, C, S, S]`` to the same shape."""
    size = images.shape[-1]
    place = torch.arange(size, device=images.device)
    down, right = (_reflected(place + shift[:, None], size) for shift in (rows, columns))  # [N, S]
    right = torch.where(mirrored[:, None], size - 1 - right, right)
    count = torch.arange(len(images), device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[count, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Reflect places beyond an edge to those before it; the edge itself is not repeated."""
    return size - 1 - (size - 1 - places.abs()).abs()


def _gradient(critic: Critic, images: Tensor) -> Tensor:
    """float ``[N, C S S]``, which can be differentiated itself."""
    (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradient.flatten(1)
