"""One training step: Goodfellow et al., "Generative Adversarial Nets" (2014), algorithm 1, and an EMA of the generator."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from drawwell_train.config import TrainConfig
from drawwell_train.distributed import all_reduce_mean, shard
from drawwell_train.networks.base import Discriminator, autocast, discriminate
from drawwell_train.presets import CROSS_ENTROPIES, Loss
from drawwell_train.step.augment import diff_augment
from drawwell_train.step.batches import Real
from drawwell_train.step.losses import discriminator_loss, generator_loss
from drawwell_train.step.penalties import regularization
from drawwell_train.step.state import TrainState

Stats = dict[str, Tensor]
"""Losses, gradient norms and mean outputs of D: 0-d tensors, of the images of this process, perhaps still under way on the device."""


def train_step(state: TrainState, config: TrainConfig, next_batch: Callable[[], Real]) -> Stats:
    """Make ``d_steps`` updates of D, ``g_steps`` of G and one of the EMA generator. Returns the numbers of the last update of each.

    G's first update uses the generated images that D saw last, as the official DCGAN example does.
    """
    for remaining in reversed(range(config.d_steps)):
        real = next_batch()
        fake = _generate(state, config, real.labels, for_g=not remaining)
        stats = d_step(state, config, real, fake.detach())
    for remaining in reversed(range(config.g_steps)):
        stats |= g_step(state, config, real, fake)
        if remaining:
            fake = _generate(state, config, real.labels, for_g=True)
    state.step += 1
    update_ema(state, config)
    return stats


def d_step(state: TrainState, config: TrainConfig, real: Real, fake: Tensor) -> Stats:
    """One update of D, on real and on as many generated images, float ``[N, C, S, S]``."""
    real_images, fake_images = _augment(state, config, real.images), _augment(state, config, fake)
    real_logits, fake_logits = discriminate_both(state.discriminator, config, real_images, fake_images, real.labels)
    loss = discriminator_loss(config.loss, real_logits, fake_logits, config.label_smoothing)
    penalty = regularization(
        state.discriminator, config, state.step, real_images, fake_images, real_logits, real.labels
    )
    norm = _descend(state.optimizer_d, loss + penalty, state.step, config)
    if config.clip_weights is not None:
        _clip(state.discriminator, config.clip_weights)
    outputs = _outputs(config.loss, real_logits.detach(), fake_logits.detach())
    return {"loss_d": loss.detach(), "gradient_d": norm} | outputs


def g_step(state: TrainState, config: TrainConfig, real: Real, fake: Tensor) -> Stats:
    """One update of G, through its images ``fake``, float ``[N, C, S, S]``."""
    state.discriminator.requires_grad_(False)  # D's weights need no gradients here
    fake_images, real_logits = _augment(state, config, fake), None
    if config.loss == "relativistic":
        with torch.no_grad():
            real_images = _augment(state, config, real.images)
            real_logits = discriminate(state.discriminator, config, real_images, real.labels)
    fake_logits = discriminate(state.discriminator, config, fake_images, real.labels)
    loss = generator_loss(config.loss, fake_logits, real_logits)
    norm = _descend(state.optimizer_g, loss, state.step, config)
    state.discriminator.requires_grad_(True)
    return {"loss_g": loss.detach(), "gradient_g": norm}


@torch.no_grad()
def update_ema(state: TrainState, config: TrainConfig) -> None:
    """Move the EMA generator towards G, the statistics of its batch norms too, with a half-life in images.

    The half-life is at most 5 % of the images seen (Karras et al. 2020, "Training GANs with limited data"), so that a short run does
    not export its own beginning.
    """
    halflife = max(min(config.ema_halflife_images, 0.05 * state.step * config.images_per_step), 1e-8)
    weight = 1 - 0.5 ** (config.images_per_step / halflife)
    fresh, ema = state.generator.state_dict(), state.ema.state_dict()
    floating = [name for name, tensor in ema.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([ema[name] for name in floating], [fresh[name] for name in floating], weight)
    for name in ema.keys() - floating:
        ema[name].copy_(fresh[name])


def _generate(state: TrainState, config: TrainConfig, labels: Tensor | None, for_g: bool) -> Tensor:
    """Images float ``[N, C, S, S]`` of fresh latents; with a gradient only where G learns from them."""
    shape, device = (config.batch_size, config.latent_dim), next(state.generator.parameters()).device
    whole = torch.randn(shape, device=device) if config.prior == "normal" else torch.rand(shape, device=device) * 2 - 1
    with torch.set_grad_enabled(for_g), autocast(config, device):
        images: Tensor = state.generator(shard(whole), labels)
    return images


def _augment(state: TrainState, config: TrainConfig, images: Tensor) -> Tensor:
    if not config.diffaugment:
        return images
    return diff_augment(images.float(), state.generator.lowest, config.diffaugment_policy)


def discriminate_both(
    network: Discriminator, config: TrainConfig, real: Tensor, fake: Tensor, labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Logits float32 ``[N]`` of real and of generated images ``[N, C, S, S]``.

    In one pass, where the preset says so and no batch norm forbids it: spectral normalisation then makes half as many power
    iterations, and the matrix products are larger.
    """
    if not config.one_pass or config.d_norm == "batch":
        return discriminate(network, config, real, labels), discriminate(network, config, fake, labels)
    both = None if labels is None else torch.cat([labels, labels])
    real_logits, fake_logits = discriminate(network, config, torch.cat([real, fake.to(real.dtype)]), both).chunk(2)
    return real_logits, fake_logits


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, step: int, config: TrainConfig) -> Tensor:
    """One step of an optimizer, on the mean gradient of all processes. Returns the gradient's norm before it is clipped."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    all_reduce_mean(weight.grad for weight in weights)
    norm = nn.utils.get_total_norm(weight.grad for weight in weights if weight.grad is not None)
    if config.clip_gradients is not None:
        nn.utils.clip_grad_value_(weights, config.clip_gradients)
    left = 1 - step / config.steps if config.schedule == "linear" else 1.0
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * left / (1 + group["decay"] * step)
    optimizer.step()
    return norm


@torch.no_grad()
def _clip(network: nn.Module, most: float) -> None:
    for weight in network.parameters():
        weight.clamp_(-most, most)


def _outputs(loss: Loss, real: Tensor, fake: Tensor) -> Stats:
    """Means of D(x) and D(G(z)), and D's accuracy: the share of images it classifies rightly.

    D(x) is a probability with a cross-entropy, a logit with the hinge loss or of a critic. With the relativistic loss both are of
    pairs: the probability that D gives to the real image being the real one, and the rest.
    """
    if loss == "wasserstein":
        return {"d_real": real.mean(), "d_fake": fake.mean()}
    if loss == "relativistic":
        difference = real - fake
        right, wrong = difference.sigmoid().mean(), (-difference).sigmoid().mean()
        return {"d_real": right, "d_fake": wrong, "accuracy_d": (difference > 0).float().mean()}
    accuracy = ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2
    if loss in CROSS_ENTROPIES:
        real, fake = real.sigmoid(), fake.sigmoid()
    return {"d_real": real.mean(), "d_fake": fake.mean(), "accuracy_d": accuracy}
