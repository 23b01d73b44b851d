"""How the discriminator is asked: what it sees of images, in which precision, and in how many passes."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from drawwell_train.config import TrainConfig, recipe_of
from drawwell_train.distributed import Processes
from drawwell_train.networks.networks import Discriminator, packed
from drawwell_train.step.augment import diff_augment


class Real(NamedTuple):
    """Images of the data, float32 ``[N, C, S, S]``, and their labels int64 ``[N]`` where G learns classes."""

    images: Tensor
    labels: Tensor | None = None


class Judged(NamedTuple):
    """Images float ``[N, C, S, S]`` as D saw them, and its logits float32 ``[N]``, packed ``[N / pack]``."""

    images: Tensor
    logits: Tensor


class Judge:
    """The discriminator of one step."""

    def __init__(self, network: Discriminator, config: TrainConfig, processes: Processes, black: float) -> None:
        self.network, self.processes = network, processes
        self._config, self._black, recipe = config, black, recipe_of(config)
        self._one_pass = recipe.one_pass and recipe.d_norm != "batch"

    def seen(self, images: Tensor) -> Tensor:
        """As D sees them: changed where that was asked for, in float32."""
        if not self._config.diffaugment:
            return images
        return diff_augment(images.float(), self._black, self._config.diffaugment_policy, self.processes)

    def judge(self, images: Tensor, labels: Tensor | None) -> Judged:
        with autocast(self._config, images.device):
            logits: Tensor = self.network(packed(images, self._config.pack), labels)
        return Judged(images, logits.float())

    def judge_both(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> tuple[Judged, Judged]:
        """Real and generated images, in one pass where the preset says so: half as many power iterations, larger products."""
        if not self._one_pass:
            return self.judge(real, labels), self.judge(fake, labels)
        both = None if labels is None else torch.cat([labels, labels])
        of_real, of_fake = self.judge(torch.cat([real, fake.to(real.dtype)]), both).logits.chunk(2)
        return Judged(real, of_real), Judged(fake, of_fake)

    def tuples(self, images: Tensor) -> Tensor:
        """Packed as the network takes them, in float32."""
        return packed(images.float(), self._config.pack)

    def random(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        """This process's rows of what ``draw`` gives for all, so that the number of processes changes nothing."""
        weight = next(self.network.parameters())
        whole = shape[0] * self.processes.count, *shape[1:]
        return self.processes.share(draw(whole, device=weight.device))


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")
