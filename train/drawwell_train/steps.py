"""One alternating step of adversarial training: Goodfellow et al., "Generative Adversarial Nets" (2014), algorithm 1."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from drawwell_train.augment import diff_augment
from drawwell_train.config import TrainConfig, images_per_step, recipe_of
from drawwell_train.losses import discriminator_loss, generator_loss, gradient_penalty
from drawwell_train.networks import packed
from drawwell_train.presets import Preset
from drawwell_train.processes import ALONE, Processes
from drawwell_train.state import TrainState

Stats = dict[str, Tensor]


class Real(NamedTuple):
    """Images of the data, float32 ``[N, C, S, S]``, and their labels int64 ``[N]`` where G learns classes."""

    images: Tensor
    labels: Tensor | None = None


NextBatch = Callable[[], Real]


def train_step(state: TrainState, config: TrainConfig, next_batch: NextBatch, processes: Processes = ALONE) -> Stats:
    """``d_steps`` of D, ``g_steps`` of G, one of the average. Returns the last losses and D's mean outputs as 0-d tensors.

    The images that D saw last are those that G's first step learns from, as in the official DCGAN example.
    """
    step = _Step(state, config, processes)
    for remaining in reversed(range(recipe_of(config).d_steps)):
        real = next_batch()
        fake = step.generate(real.labels, for_g=not remaining)
        stats = step.improve_d(real, fake.detach())
    for remaining in reversed(range(config.g_steps)):
        stats |= step.improve_g(fake, real.labels)
        if remaining:
            fake = step.generate(real.labels, for_g=True)
    state.step += 1
    _average(state, config)
    return stats


class _Step:
    """What the steps of both networks share."""

    def __init__(self, state: TrainState, config: TrainConfig, processes: Processes) -> None:
        self.state, self.config, self.processes, self.recipe = state, config, processes, recipe_of(config)

    def generate(self, labels: Tensor | None, for_g: bool) -> Tensor:
        """Images float ``[N, C, S, S]`` of fresh latents; with what G's gradient needs, where it is to learn from them."""
        with torch.set_grad_enabled(for_g), self._autocast():
            images: Tensor = self.state.generator(self._latents(), labels)
        return images

    def improve_d(self, real: Real, fake: Tensor) -> Stats:
        """One step of D on as many real as generated images, float ``[N, C, S, S]``."""
        seen, generated = (self._changed(images) for images in (real.images, fake))
        real_logits, fake_logits = (self._judge(images, real.labels) for images in (seen, generated))
        loss = discriminator_loss(self.recipe.loss, real_logits, fake_logits, self.config.label_smoothing)
        stats = {"loss_d": loss.detach()}
        if self.recipe.penalty:
            loss = loss + self.recipe.penalty * self._penalty(seen, generated, real.labels)
        stats["gradient_d"] = self._descend(self.state.optimizer_d, loss)
        if (most := self.recipe.clip_weights) is not None:
            with torch.no_grad():
                for weight in self.state.discriminator.parameters():
                    weight.clamp_(-most, most)
        return stats | _outputs(self.recipe, real_logits.detach(), fake_logits.detach())

    def improve_g(self, fake: Tensor, labels: Tensor | None) -> Stats:
        """One step of G through its images ``fake``, float ``[N, C, S, S]``."""
        self.state.discriminator.requires_grad_(False)  # saves the gradients of D's weights, which nobody needs here
        logits = self._judge(self._changed(fake), labels)
        loss = generator_loss(self.recipe.loss, logits)
        norm = self._descend(self.state.optimizer_g, loss)
        self.state.discriminator.requires_grad_(True)
        return {"loss_g": loss.detach(), "gradient_g": norm}

    def _changed(self, images: Tensor) -> Tensor:
        """As D sees them: changed where that was asked for, in float32."""
        if not self.config.diffaugment:
            return images
        return diff_augment(images.float(), self.state.generator.lowest, self.processes)

    def _judge(self, images: Tensor, labels: Tensor | None) -> Tensor:
        with self._autocast():
            logits: Tensor = self.state.discriminator(packed(images, self.config.pack), labels)
        return logits.float()

    def _penalty(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor:
        """In float32: it is a gradient of a gradient, for which bfloat16 has too few digits."""
        tuples = [packed(images.float(), self.config.pack) for images in (real, fake)]
        whole = len(tuples[0]) * self.processes.count
        epsilon = self.processes.share(torch.rand(whole, device=fake.device))
        return gradient_penalty(lambda images: self.state.discriminator(images, labels), tuples[0], tuples[1], epsilon)

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
        """One step of an optimizer. Returns the gradient's norm, before it is clipped."""
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        self.processes.average(weight.grad for weight in weights)
        norm = nn.utils.get_total_norm(weight.grad for weight in weights if weight.grad is not None)
        if self.recipe.clip_gradients is not None:
            nn.utils.clip_grad_value_(weights, self.recipe.clip_gradients)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] / (1 + group["decay"] * self.state.step)
        optimizer.step()
        return norm

    def _latents(self) -> Tensor:
        weight = next(self.state.generator.parameters())
        shape = (self.recipe.batch_size, self.config.latent_dim)
        if self.recipe.prior == "normal":
            return self.processes.share(torch.randn(shape, device=weight.device))
        return self.processes.share(torch.rand(shape, device=weight.device) * 2 - 1)

    def _autocast(self) -> torch.autocast:
        device = next(self.state.generator.parameters()).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.config.precision == "bfloat16")


def _outputs(recipe: Preset, real: Tensor, fake: Tensor) -> Stats:
    """Means of D(x) and D(G(z)), of a critic f(x) and f(G(z)); and the share of images that D takes for what they are."""
    if recipe.loss == "wasserstein":
        return {"d_real": real.mean(), "d_fake": fake.mean()}
    right = ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2
    return {"d_real": real.sigmoid().mean(), "d_fake": fake.sigmoid().mean(), "accuracy_d": right}


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
