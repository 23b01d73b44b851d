"""A GAN of points: the trainer's own networks, losses and step, on images of two channels and one pixel."""

import torch
from torch import Tensor, nn

from drawwell_train.config import TrainConfig
from drawwell_train.monitor.measures import least_jsd
from drawwell_train.networks.base import discriminate
from drawwell_train.play.divergence import best_discriminator, blurred, grid, jensen_shannon, kernel_density
from drawwell_train.play.gan import Gan, rounded
from drawwell_train.play.options import PlayOptions, config_of_plane
from drawwell_train.play.points import mixture_of
from drawwell_train.play.views import Numbers, Plot
from drawwell_train.presets import CROSS_ENTROPIES
from drawwell_train.step.batches import Real
from drawwell_train.step.losses import discriminator_loss
from drawwell_train.step.state import TrainState, build
from drawwell_train.step.steps import discriminate_both

_MEASURED_POINTS, _SHOWN_POINTS = 2048, 400
_FIRST_SPREAD = 0.1
"""Of G's points, as a part of the one that its first weights would give."""
_LEAST_SHARE = 0.25
"""A mode counts as drawn if it has this part of its fair share of the points."""


class Plane(Gan):
    """One training on points."""

    def __init__(self, options: PlayOptions) -> None:
        """Build both networks from ``options.seed``. Raises ``RequestError`` for options that do not work together."""
        super().__init__(config_of_plane, options, _build(config_of_plane(options)))
        self._data = mixture_of(options.data)
        measuring = torch.Generator().manual_seed(options.seed)
        self._real = _images(self._data.sample(_MEASURED_POINTS, measuring))
        shape = _MEASURED_POINTS, self._config.latent_dim
        uniform, normal = torch.rand(shape, generator=measuring) * 2 - 1, torch.randn(shape, generator=measuring)
        self._z = normal if options.prior == "normal" else uniform
        self._p = blurred(self._data)

    def _next_batch(self) -> Real:
        return Real(_images(self._data.sample(self._config.batch_size)))

    @torch.no_grad()
    def measure(self) -> Numbers:
        """The numbers of this step: those of its last updates, and those of fresh points that D has never seen."""
        drawn = self._state.generator(self._z)
        numbers = self._of_last_step() | self._value(drawn) | self._modes(drawn)
        numbers["jsd"] = jensen_shannon(self._p, kernel_density(drawn.flatten(1)))
        numbers["x"], numbers["y"] = drawn.flatten(1).mean(0).tolist()
        return rounded(numbers)

    @torch.no_grad()
    def view(self) -> Plot:
        """What the page draws."""
        drawn = self._state.generator(self._z)
        best = best_discriminator(self._p, kernel_density(drawn.flatten(1)))
        real, fake = (images[:_SHOWN_POINTS].flatten(1).tolist() for images in (self._real, drawn))
        return Plot(real, fake, self._surface().tolist(), best.tolist())

    def _value(self, drawn: Tensor) -> Numbers:
        real, fake = discriminate_both(self._state.discriminator, self._config, self._real, drawn, None)
        loss = float(discriminator_loss(self._config.loss, real, fake))
        return {"value": -loss} | ({"bound": least_jsd(loss)} if self._config.loss in CROSS_ENTROPIES else {})

    def _modes(self, drawn: Tensor) -> Numbers:
        shares = self._data.share_near(drawn.flatten(1))
        drawn_modes = int((shares > _LEAST_SHARE / len(shares)).sum())
        return {"modes": drawn_modes, "all_modes": len(shares), "near": float(shares.sum())}

    def _surface(self) -> Tensor:
        """D on the grid, float32 ``[CELLS * CELLS]``: probabilities, or a critic's output from its lowest to its highest, 0 to 1.

        A D that sees tuples sees each point of the grid beside real ones.
        """
        points = _images(grid())
        real = self._real.repeat(len(points) // len(self._real), 1, 1, 1)
        beside = (real.roll(place, 0) for place in range(1, self._config.pack))
        together = torch.stack([points, *beside], 1).flatten(0, 1)
        logits = discriminate(self._state.discriminator, self._config, together, None)
        if self._config.loss in CROSS_ENTROPIES:
            return logits.sigmoid()
        return (logits - logits.min()) / (logits.max() - logits.min()).clamp(min=1e-12)


class _Centred(nn.Module):
    """Points of the unit square, seen from its middle. From its corner D would learn much more slowly."""

    def forward(self, points: Tensor) -> Tensor:
        return points - 0.5


def _build(config: TrainConfig) -> TrainState:
    """The networks of preset mlp. G begins as a small cloud in the middle of the square, so that the ring and the clusters are far."""
    state = build(config, torch.device("cpu"))
    body, last = state.discriminator.body, next(state.generator.head[0].children())
    assert isinstance(body, nn.Sequential) and isinstance(last, nn.Linear), "those of preset mlp"
    body.insert(0, _Centred())
    last.weight.data *= _FIRST_SPREAD
    return state


def _images(points: Tensor) -> Tensor:
    """Points ``[N, 2]`` to images of two channels and one pixel ``[N, 2, 1, 1]``."""
    return points[:, :, None, None]
