"""What is measured of both networks at every line of ``stats.jsonl``, in evaluation mode and on fixed images and addresses.

Nothing of training is touched: no number of torch's random state is drawn, no statistic of a batch norm moves. A measure
of a classifier, such as the histogram of the classes that are drawn, belongs beside ``diversity``.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drawwell.addresses.latents import latents
from drawwell.pieces import slices
from drawwell_train.config import TrainConfig, recipe_of
from drawwell_train.networks.networks import packed
from drawwell_train.presets import CROSS_ENTROPIES, STD_GROUP
from drawwell_train.step.batches import Batches
from drawwell_train.step.losses import discriminator_loss
from drawwell_train.step.state import TrainState

_SEED, _IMAGES = 1, 512
"""The seed is not that of the sample sheets. 512 images: the mean of a cross-entropy is then within a few hundredths."""
_PIXELS = 32
"""Distances are taken at this size at most: beyond it they are of noise, and cost more."""


class Measures:
    """Of a run: ``value``, ``jsd`` and ``diversity``, each where it is defined."""

    def __init__(self, config: TrainConfig, real: Batches) -> None:
        self._config, self._recipe = config, recipe_of(config)
        sample = real.sample(_IMAGES)
        self._held_out = real.held_out()
        self._labels, device = sample.labels, sample.images.device
        prior = self._recipe.prior
        self._z = torch.from_numpy(latents(_SEED, range(len(sample.images)), config.latent_dim, prior)).to(device)
        self._real_distance = nearest_distance(sample.images)

    def __call__(self, state: TrainState) -> dict[str, float]:
        """The measures of this step, as finite numbers in nats and shares."""
        autocast = torch.autocast(self._z.device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16")
        with torch.no_grad(), autocast, _evaluating(state):
            fake = torch.cat([state.generator(z, label) for z, label in self._chunks(self._z, self._labels)])
            real_logits = self._judge(state, self._held_out.images, self._held_out.labels)
            fake_logits = self._judge(state, fake, self._labels)
        measured = self._of_logits(real_logits, fake_logits)
        if self._real_distance:
            measured["diversity"] = nearest_distance(fake) / self._real_distance
        return {name: float(f"{value:.5g}") for name, value in measured.items()}

    def _of_logits(self, real: Tensor, fake: Tensor) -> dict[str, float]:
        if not len(real) or not len(fake):
            return {}
        if self._recipe.loss == "relativistic":
            real, fake = real[: len(fake)], fake[: len(real)]  # in pairs
        loss = float(discriminator_loss(self._recipe.loss, real, fake))
        return {"value": -loss} | ({"jsd": least_jsd(loss)} if self._recipe.loss in CROSS_ENTROPIES else {})

    def _judge(self, state: TrainState, images: Tensor, labels: Tensor | None) -> Tensor:
        """Logits float32 ``[N]``, packed ``[N // pack]``: images that make no whole tuple, or no whole group, are left out."""
        together = self._config.pack * (STD_GROUP if self._config.minibatch_std else 1)
        whole = len(images) - len(images) % together
        chunks = self._chunks(images[:whole], labels)
        logits = [state.discriminator(packed(chunk, self._config.pack), label).float() for chunk, label in chunks]
        return torch.cat([torch.empty(0, device=images.device), *logits])

    def _chunks(self, tensor: Tensor, labels: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """As many at once as in training, so that memory suffices."""
        size = self._recipe.batch_size
        for places in slices(len(tensor), size):
            yield tensor[places], None if labels is None else labels[places]


def least_jsd(loss_d: float) -> float:
    """What the Jensen-Shannon divergence of data and generator is at least, in nats of [0, log 2]: ``log 2 - loss_d / 2``.

    ``loss_d`` is the sum of both cross-entropies, ``-E_p log D(x) - E_q log(1 - D(x))``, of the data's distribution p and the
    generator's q; so it is ``-V(D, G)`` of Goodfellow et al. 2014, equation 1. For a fixed G no D has a greater V than
    ``D* = p / (p + q)`` (equation 2), whose V, put into equation 4, is ``-log 4 + KL(p || (p + q) / 2) + KL(q || (p + q) / 2)``
    (equation 5) ``= -log 4 + 2 JSD(p || q)`` (equation 6). Hence for every D ``-loss_d <= -log 4 + 2 JSD``. The bound is tight
    where D is D*, and the optimum of G, where p is q, is ``V = -2 log 2``. Targets must not be smoothed, nor may D have
    learned from the images: of those it knows by heart. Of tuples, where D sees tuples. Never below 0, where it says nothing.
    """
    return max(0.0, math.log(2) - loss_d / 2)


def nearest_distance(images: Tensor) -> float:
    """Mean Euclidean distance from each image, float ``[N, C, S, S]``, to the nearest other; 0 for fewer than two.

    Diversity is this of generated images over this of as many of the data: 1 where they lie as far apart, 0 for copies of one
    image, and near 0 too for copies of a few, to which the mean distance of all pairs, like MS-SSIM (Odena et al. 2017, section
    4.2), is nearly blind. That a small support shows in near-duplicates is the birthday test of Arora and Zhang 2017.
    """
    if len(images) < 2:
        return 0.0
    small = F.adaptive_avg_pool2d(images.float(), min(images.shape[-1], _PIXELS)).flatten(1).double()
    distances = torch.cdist(small, small)  # of doubles, since it subtracts large products: copies are then at 1e-7
    distances.fill_diagonal_(math.inf)
    return float(distances.amin(1).mean())


@contextmanager
def _evaluating(state: TrainState) -> Iterator[None]:
    """Both networks without dropout, and with the statistics of their batch norms as they are."""
    networks: tuple[nn.Module, ...] = state.generator, state.discriminator
    modes = [network.training for network in networks]
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for network, mode in zip(networks, modes, strict=True):
            network.train(mode)
