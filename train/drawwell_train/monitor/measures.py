"""Measures of both networks for every line of ``stats.jsonl``, in evaluation mode and on fixed images and addresses.

Measuring changes nothing in training: it draws no number of torch's random state, and no statistic of a batch norm moves.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from drawwell.addresses.latents import latents
from drawwell.pieces import slices
from drawwell_train.config import TrainConfig
from drawwell_train.evaluation.neighbours import pooled
from drawwell_train.networks.base import packed
from drawwell_train.presets import CROSS_ENTROPIES, STD_GROUP
from drawwell_train.step.batches import Batches
from drawwell_train.step.losses import discriminator_loss
from drawwell_train.step.state import TrainState

_SEED, _IMAGES = 1, 512
"""Sample sheets have seed 0. With 512 images, the mean of a cross-entropy is exact to a few hundredths."""


class Measures:
    """Measures ``value``, ``jsd`` and ``diversity`` of a run, each where it is defined."""

    def __init__(self, config: TrainConfig, real: Batches) -> None:
        self._config = config
        sample = real.fixed(0, _IMAGES)
        self._held_out = real.held_out()
        self._labels, device = sample.labels, sample.images.device
        self._z = torch.from_numpy(latents(_SEED, range(len(sample.images)), config.latent_dim, config.prior)).to(
            device
        )
        self._real_distance = nearest_distance(sample.images)

    def __call__(self, state: TrainState) -> dict[str, float]:
        """Return the measures of this step: finite numbers, ``value`` and ``jsd`` in nats."""
        autocast = torch.autocast(self._z.device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16")
        with torch.no_grad(), autocast, evaluating(state):
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
        if self._config.loss == "relativistic":
            real, fake = real[: len(fake)], fake[: len(real)]  # in pairs
        loss = float(discriminator_loss(self._config.loss, real, fake))
        return {"value": -loss} | ({"jsd": least_jsd(loss)} if self._config.loss in CROSS_ENTROPIES else {})

    def _judge(self, state: TrainState, images: Tensor, labels: Tensor | None) -> Tensor:
        """Logits float32 ``[N // pack]``. Images beyond the last whole tuple or whole group are left out."""
        together = self._config.pack * (STD_GROUP if self._config.minibatch_std else 1)
        whole = len(images) - len(images) % together
        chunks = self._chunks(images[:whole], None if labels is None else labels[:whole])
        logits = [state.discriminator(packed(chunk, self._config.pack), label).float() for chunk, label in chunks]
        return torch.cat([torch.empty(0, device=images.device), *logits])

    def _chunks(self, tensor: Tensor, labels: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Batches as large as in training, which fit into memory."""
        for rows in slices(len(tensor), self._config.batch_size):
            yield tensor[rows], None if labels is None else labels[rows]


def least_jsd(loss_d: float) -> float:
    """Return a lower bound of the Jensen-Shannon divergence of data and generator, in nats of [0, log 2]: ``log 2 - loss_d / 2``.

    ``loss_d`` is the sum of both cross-entropies, ``-E_p log D(x) - E_q log(1 - D(x))``, of the data's distribution p and the
    generator's q; so it is ``-V(D, G)`` of Goodfellow et al. 2014, equation 1. For a fixed G no D has a greater V than
    ``D* = p / (p + q)`` (equation 2), whose V, put into equation 4, is ``-log 4 + KL(p || (p + q) / 2) + KL(q || (p + q) / 2)``
    (equation 5) ``= -log 4 + 2 JSD(p || q)`` (equation 6). Hence for every D ``-loss_d <= -log 4 + 2 JSD``. The bound is tight
    for D = D*, and the optimum of G, where p = q, is ``V = -2 log 2``. Targets must not be smoothed. The images must be held out:
    D may know its training images by heart. If D sees tuples of images, the bound is for tuples. A negative bound is returned as 0.
    """
    return max(0.0, math.log(2) - loss_d / 2)


def nearest_distance(images: Tensor) -> float:
    """Return the mean Euclidean distance from each image, float ``[N, C, S, S]``, to the nearest other one; 0 for fewer than two.

    Diversity is this distance for generated images, divided by the distance for as many images of the data. It is 1 if generated
    images differ as much as the data, 0 for copies of one image, and near 0 for copies of a few. The mean distance of all pairs,
    like MS-SSIM (Odena et al. 2017, section 4.2), hardly notices copies of a few. Near-duplicates as the sign of a small support
    are the birthday test of Arora and Zhang 2017.
    """
    if len(images) < 2:
        return 0.0
    small = pooled(images.float()).flatten(1).double()
    distances = torch.cdist(small, small)  # float64: in float32 the distance of two copies is not near 0
    distances.fill_diagonal_(math.inf)
    return float(distances.amin(1).mean())


@contextmanager
def evaluating(state: TrainState) -> Iterator[None]:
    """Both networks in evaluation mode: no dropout, and fixed statistics of the batch norms."""
    networks: tuple[nn.Module, ...] = state.generator, state.discriminator
    modes = [network.training for network in networks]
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for network, mode in zip(networks, modes, strict=True):
            network.train(mode)
