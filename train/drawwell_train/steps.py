"""One alternating step of adversarial training: Goodfellow et al., "Generative Adversarial Nets" (2014), algorithm 1."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from drawwell_train.config import TrainConfig, images_per_step
from drawwell_train.state import TrainState

Stats = dict[str, Tensor]
NextBatch = Callable[[], Tensor]
"""Gives real images, float32 ``[N, C, S, S]`` in [-1, 1]."""


def train_step(state: TrainState, config: TrainConfig, next_batch: NextBatch) -> Stats:
    """k steps of D, one of G, one of the average. Returns the losses and D's mean outputs as 0-d tensors."""
    for _ in range(config.d_steps):
        real = next_batch()
        stats = _discriminator_step(state, config, real)
    stats |= _generator_step(state, config, real)
    state.step += 1
    _average(state, config)
    return stats


def _discriminator_step(state: TrainState, config: TrainConfig, real: Tensor) -> Stats:
    """Ascend log D(x) + log(1 - D(G(z))): with logits l, descend softplus(-l) on real and softplus(l) on generated images."""
    with _autocast(config, real):
        with torch.no_grad():
            fake = state.generator(_sample_latents(config, real))
        logits_real = state.discriminator(real).float()
        logits_fake = state.discriminator(fake).float()
    loss = F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()
    _descend(state.optimizer_d, loss)
    return {
        "loss_d": loss.detach(),
        "d_real": logits_real.sigmoid().mean().detach(),
        "d_fake": logits_fake.sigmoid().mean().detach(),
    }


def _generator_step(state: TrainState, config: TrainConfig, real: Tensor) -> Stats:
    """Ascend log D(G(z)), the non-saturating loss of section 3, in place of descending log(1 - D(G(z)))."""
    state.discriminator.requires_grad_(False)  # saves the gradients of D's weights, which this step has no use for
    with _autocast(config, real):
        logits = state.discriminator(state.generator(_sample_latents(config, real))).float()
    loss = F.softplus(-logits).mean()
    _descend(state.optimizer_g, loss)
    state.discriminator.requires_grad_(True)
    return {"loss_g": loss.detach()}


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


@torch.no_grad()
def _average(state: TrainState, config: TrainConfig) -> None:
    """Move the averaged generator towards G, batch norm's statistics too, with a half-life in images.

    The half-life is at most 5 % of the images seen (Karras et al. 2020, "Training GANs with limited data"), so
    that a short run does not export its own beginning.
    """
    step_images = images_per_step(config)
    halflife = max(min(config.ema_halflife_images, 0.05 * state.step * step_images), 1e-8)
    weight = 1 - 0.5 ** (step_images / halflife)
    fresh = state.generator.state_dict()
    for name, averaged in state.averaged.state_dict().items():
        if averaged.is_floating_point():
            averaged.lerp_(fresh[name], weight)
        else:
            averaged.copy_(fresh[name])


def _sample_latents(config: TrainConfig, like: Tensor) -> Tensor:
    shape = (len(like), config.latent_dim)
    if config.prior == "normal":
        return torch.randn(shape, device=like.device)
    return torch.rand(shape, device=like.device) * 2 - 1


def _autocast(config: TrainConfig, like: Tensor) -> torch.autocast:
    return torch.autocast(like.device.type, torch.bfloat16, enabled=config.precision == "bfloat16")
