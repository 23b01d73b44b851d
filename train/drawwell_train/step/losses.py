"""The losses of D and G, in logits l. Of the cross-entropies D(x) is their sigmoid, so that -log D = softplus(-l) and
-log(1 - D) = softplus(l)."""

import torch.nn.functional as F
from torch import Tensor

from drawwell_train.presets import Loss


def discriminator_loss(loss: Loss, real: Tensor, fake: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Loss of D from its logits ``[N]`` of real and of generated images, a 0-d tensor.

    The cross-entropies' sum of Goodfellow et al. 2014, equation 1: ``-log D(x) - log(1 - D(G(z)))``. With one-sided label
    smoothing s (Salimans et al. 2016, section 3.4) the target of real images is 1 - s. ``wasserstein`` (Arjovsky et al.
    2017, algorithm 1) is ``f(G(z)) - f(x)``. ``hinge`` is ``max(0, 1 - f(x)) + max(0, 1 + f(G(z)))`` (Miyato et al. 2018,
    equation 16; Lim and Ye 2017). ``relativistic`` is ``softplus(f(G(z)) - f(x))`` of pairs (Jolicoeur-Martineau 2018, section 3.3;
    Huang et al. 2024, equation 2 with ``f(t) = -softplus(-t)``).
    """
    if loss == "wasserstein":
        return fake.mean() - real.mean()
    if loss == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    if loss == "relativistic":
        return F.softplus(fake - real).mean()
    smoothed = (1 - label_smoothing) * F.softplus(-real) + label_smoothing * F.softplus(real)
    return smoothed.mean() + F.softplus(fake).mean()


def generator_loss(loss: Loss, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """Loss of G from D's logits ``[N]`` of generated images, a 0-d tensor; ``relativistic`` also needs the logits of real images.

    ``minimax`` is equation 1 of Goodfellow et al. 2014 itself, ``log(1 - D(G(z)))``, which saturates where D is sure.
    ``non-saturating`` is ``-log D(G(z))`` (section 3): the cross-entropy with flipped labels. ``wasserstein`` and ``hinge`` are
    ``-f(G(z))``. ``relativistic`` is D's with its sides exchanged, ``softplus(f(x) - f(G(z)))``.
    """
    if loss in ("wasserstein", "hinge"):
        return -fake.mean()
    if loss == "relativistic":
        assert real is not None, "it compares"
        return F.softplus(real - fake).mean()
    return -F.softplus(fake).mean() if loss == "minimax" else F.softplus(-fake).mean()
