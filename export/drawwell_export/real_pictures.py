"""The pictures that a discriminator is measured on: real ones of its run, and drawn ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from drawwell.engine.engine import Engine
from drawwell.generator import Images
from drawwell.pieces import slices
from drawwell_export.judging import NotJudgedError
from drawwell_train.config import TrainConfig
from drawwell_train.data.classes import numbered_as
from drawwell_train.data.dataset import Limits, load
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.networks.base import lowest, to_images
from drawwell_train.step.batches import held_out_rows

BATCH_PICTURES = 64
LEAST_HELD_OUT = 10
"""A place among fewer pictures says nothing."""
DRAWN_PICTURES = 1024
LEARNED_PICTURES = 5000
"""Of the images that the discriminator learned from, to learn its classes."""

_SEED = 0


@dataclass(frozen=True)
class Pictures:
    """Images uint8 ``[N, H, W, C]``, and their labels int64 ``[N]`` where there are classes."""

    images: Images
    labels: npt.NDArray[np.int64] | None

    def batches(self, config: TrainConfig) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield them as the discriminator takes them: float32 ``[n, C, S, S]`` and int64 ``[n]``. In float32 all would take much memory."""
        for rows in slices(len(self.images), BATCH_PICTURES):
            pixels = to_images(torch.from_numpy(self.images[rows]), lowest(config.sigmoid))
            yield pixels, None if self.labels is None else torch.from_numpy(self.labels[rows])


@dataclass(frozen=True)
class RealPictures:
    """The images of a run's data: those that were held out from its discriminator, and some of those that it learned from."""

    held_out: Pictures
    learned: Pictures


def real_pictures(config: TrainConfig, data: str | None = None) -> RealPictures:
    """Return the real images of a run.

    ``data`` is where they lie now, by default where they lay in training. Raises ``NotJudgedError`` if they are not there.
    """
    found = _load(config, data or config.data)
    chosen = held_out_rows(len(found.images), config.seed).numpy()
    if len(chosen) < LEAST_HELD_OUT:
        raise NotJudgedError(
            f"the run held out {len(chosen)} of its {len(found.images):,} images, and {LEAST_HELD_OUT} are needed to compare with"
        )
    rest = np.setdiff1d(np.arange(len(found.images)), chosen)
    learned = np.sort(np.random.default_rng(_SEED).permutation(rest)[:LEARNED_PICTURES])
    return RealPictures(_taken(found, config, chosen), _taken(found, config, learned))


def _load(config: TrainConfig, source: str) -> ImageData:
    """The data of a run, its classes numbered as the run has them."""
    try:
        limits = Limits(config.max_bad, config.max_megapixels)
        found = load(source, config.size, config.channels, config.sizes, limits=limits)
    except DataError as error:
        raise NotJudgedError(
            f"it is compared with real images that were held out, and {error}; name the data with --data"
        ) from error
    if config.conditional:
        found = numbered_as(found, config.class_names) or found
    if found.sha256(config.conditional) != config.data_sha256:
        raise NotJudgedError(f"{source} holds other images than the run learned from; name the data with --data")
    return found


def _taken(data: ImageData, config: TrainConfig, rows: npt.NDArray[np.int64]) -> Pictures:
    return Pictures(data.images[rows], data.labels[rows] if config.conditional and data.labels is not None else None)


def drawn_by(engine: Engine) -> Pictures:
    """Return images that the exported generator draws."""
    batch = engine.generate(_SEED, DRAWN_PICTURES)
    return Pictures(batch.images, batch.labels)
