"""One alternating step of adversarial training: Goodfellow et al., "Generative Adversarial Nets" (2014), algorithm 1."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from drawwell_train.config import TrainConfig, images_per_step, recipe_of
from drawwell_train.distributed import ALONE, Processes
from drawwell_train.presets import CROSS_ENTROPIES, Loss
from drawwell_train.step.judge import Judge, Real, autocast
from drawwell_train.step.losses import discriminator_loss, generator_loss
from drawwell_train.step.regularizers import regularization
from drawwell_train.step.state import TrainState

Stats = dict[str, Tensor]
NextBatch = Callable[[], Real]


def train_step(state: TrainState, config: TrainConfig, next_batch: NextBatch, processes: Processes = ALONE) -> Stats:
    """``d_steps`` of D, ``g_steps`` of G, one of the average. Returns the last losses and D's mean outputs as 0-d tensors, of this
    process's images alone, which may still be under way on the device.

    The images that D saw last are those that G's first step learns from, as in the official DCGAN example.
    """
    step = _Step(state, config, processes)
    for remaining in reversed(range(step.recipe.d_steps)):
        real = next_batch()
        fake = step.generate(real.labels, for_g=not remaining)
        stats = step.improve_d(real, fake.detach())
    for remaining in reversed(range(config.g_steps)):
        stats |= step.improve_g(fake, real)
        if remaining:
            fake = step.generate(real.labels, for_g=True)
    state.step += 1
    _update_ema(state, config)
    return stats


class _Step:
    """What the steps of both networks share."""

    def __init__(self, state: TrainState, config: TrainConfig, processes: Processes) -> None:
        self.state, self.config, self.processes, self.recipe = state, config, processes, recipe_of(config)
        self.judge = Judge(state.discriminator, config, processes, state.generator.lowest)

    def generate(self, labels: Tensor | None, for_g: bool) -> Tensor:
        """Images float ``[N, C, S, S]`` of fresh latents; with what G's gradient needs, where it is to learn from them."""
        z = self._latents()
        with torch.set_grad_enabled(for_g), autocast(self.config, z.device):
            images: Tensor = self.state.generator(z, labels)
        return images

    def improve_d(self, real: Real, fake: Tensor) -> Stats:
        """One step of D on as many real as generated images, float ``[N, C, S, S]``."""
        seen, generated = (self.judge.seen(images) for images in (real.images, fake))
        of_real, of_fake = self.judge.judge_both(seen, generated, real.labels)
        loss = discriminator_loss(self.recipe.loss, of_real.logits, of_fake.logits, self.config.label_smoothing)
        more = regularization(self.judge, self.config, self.state.step, of_real, of_fake, real.labels)
        norm = self._descend(self.state.optimizer_d, loss + more)
        if (most := self.recipe.clip_weights) is not None:
            with torch.no_grad():
                for weight in self.state.discriminator.parameters():
                    weight.clamp_(-most, most)
        outputs = _outputs(self.recipe.loss, of_real.logits.detach(), of_fake.logits.detach())
        return {"loss_d": loss.detach(), "gradient_d": norm} | outputs

    def improve_g(self, fake: Tensor, real: Real) -> Stats:
        """One step of G through its images ``fake``, float ``[N, C, S, S]``; with a relativistic loss beside the real ones."""
        self.state.discriminator.requires_grad_(False)  # saves the gradients of D's weights, which nobody needs here
        seen, real_logits = self.judge.seen(fake), None
        if self.recipe.loss == "relativistic":
            with torch.no_grad():  # G cannot change real images
                real_logits = self.judge.judge(self.judge.seen(real.images), real.labels).logits
        fake_logits = self.judge.judge(seen, real.labels).logits
        loss = generator_loss(self.recipe.loss, fake_logits, real_logits)
        norm = self._descend(self.state.optimizer_g, loss)
        self.state.discriminator.requires_grad_(True)
        return {"loss_g": loss.detach(), "gradient_g": norm}

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
        """One step of an optimizer. Returns the gradient's norm, before it is clipped."""
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        self.processes.average(weight.grad for weight in weights)
        norm = nn.utils.get_total_norm(weight.grad for weight in weights if weight.grad is not None)
        if self.recipe.clip_gradients is not None:
            nn.utils.clip_grad_value_(weights, self.recipe.clip_gradients)
        left = 1 - self.state.step / self.config.steps if self.recipe.schedule == "linear" else 1.0
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * left / (1 + group["decay"] * self.state.step)
        optimizer.step()
        return norm

    def _latents(self) -> Tensor:
        weight = next(self.state.generator.parameters())
        shape = (self.recipe.batch_size, self.config.latent_dim)
        if self.recipe.prior == "normal":
            return self.processes.share(torch.randn(shape, device=weight.device))
        return self.processes.share(torch.rand(shape, device=weight.device) * 2 - 1)


def _outputs(loss: Loss, real: Tensor, fake: Tensor) -> Stats:
    """D's answers to real and to generated images, and the share of images that it takes for what they are.

    Means of D(x) and D(G(z)); of a critic and with the hinge loss of logits. With a relativistic loss they are of pairs: the
    probability that D gives to the real one being the real one, and the rest.
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


@torch.no_grad()
def _update_ema(state: TrainState, config: TrainConfig) -> None:
    """Move the EMA generator towards G, batch norm's statistics too, with a half-life in images.

    The half-life is at most 5 % of the images seen (Karras et al. 2020, "Training GANs with limited data"), so
    that a short run does not export its own beginning.
    """
    step_images = images_per_step(config)
    halflife = max(min(recipe_of(config).ema_halflife_images, 0.05 * state.step * step_images), 1e-8)
    weight = 1 - 0.5 ** (step_images / halflife)
    fresh, averaged = state.generator.state_dict(), state.averaged.state_dict()
    floating = [name for name, tensor in averaged.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([averaged[name] for name in floating], [fresh[name] for name in floating], weight)
    for name in averaged.keys() - floating:
        averaged[name].copy_(fresh[name])
