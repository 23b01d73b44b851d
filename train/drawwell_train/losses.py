"""The losses of D and G, in logits l: D(x) is their sigmoid, so that -log D = softplus(-l) and -log(1 - D) = softplus(l)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from drawwell_train.presets import Loss

Critic = Callable[[Tensor], Tensor]
"""Images ``[N, C, S, S]`` to logits ``[N]``."""


def discriminator_loss(loss: Loss, real: Tensor, fake: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """What D descends, of logits ``[N]`` of real and of generated images.

    The cross-entropies' sum of Goodfellow et al. 2014, equation 1: ``-log D(x) - log(1 - D(G(z)))``. With one-sided label
    smoothing s (Salimans et al. 2016, section 3.4) the target of real images is 1 - s. Of a critic (Arjovsky et al.
    2017, algorithm 1) it is ``f(G(z)) - f(x)``.
    """
    if loss == "wasserstein":
        return fake.mean() - real.mean()
    smoothed = (1 - label_smoothing) * F.softplus(-real) + label_smoothing * F.softplus(real)
    return smoothed.mean() + F.softplus(fake).mean()


def generator_loss(loss: Loss, fake: Tensor) -> Tensor:
    """What G descends, of logits ``[N]`` of generated images.

    ``minimax`` is equation 1 of Goodfellow et al. 2014 itself, ``log(1 - D(G(z)))``, which saturates where D is sure.
    ``non-saturating`` is ``-log D(G(z))`` (section 3): the cross-entropy with flipped labels. ``wasserstein`` is ``-f(G(z))``.
    """
    if loss == "wasserstein":
        return -fake.mean()
    return -F.softplus(fake).mean() if loss == "minimax" else F.softplus(-fake).mean()


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """``mean of (|gradient of f at x'| - 1)**2`` with ``x' = epsilon x + (1 - epsilon) G(z)`` (Gulrajani et al. 2017, equation 3).

    ``epsilon``, float ``[N]``, is one number from U(0, 1) for each image. The norm is over all of an image's numbers.
    """
    between = torch.lerp(fake, real, epsilon.reshape(-1, 1, 1, 1)).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return ((norms - 1) ** 2).mean()
