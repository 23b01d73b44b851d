"""Batches of real images: which images a step sees is a pure function of the seed and the step."""

from collections.abc import Iterator

import torch
from torch import Tensor

from drawwell_train.config import TrainConfig, recipe_of
from drawwell_train.data.images import ImageData, check_device_memory
from drawwell_train.distributed import ALONE, Processes
from drawwell_train.networks.networks import lowest, to_images
from drawwell_train.step.judge import Real

_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.05, 512


def held_out_of(images: int) -> int:
    """How many of so many images D never learns from."""
    return min(int(_HELD_OUT_SHARE * images), _MOST_HELD_OUT)


def held_out_rows(images: int, seed: int) -> Tensor:
    """Which of so many images a run of this seed holds out, int64 ``[held_out_of(images)]``."""
    return _permutation(images, seed, -1)[: held_out_of(images)]


class Batches:
    """The data, in batches and in an order of its own in every epoch; what is held out is in none of them.

    Batch ``b`` is a pure function of the seed and ``b``, so that the place in the data needs no record but the step.
    """

    def __init__(
        self, data: ImageData, config: TrainConfig, device: torch.device, done: int, processes: Processes = ALONE
    ) -> None:
        recipe = recipe_of(config)
        check_device_memory(data.images.nbytes, device)
        self._images = torch.from_numpy(data.images).to(device)  # stays uint8, [N, S, S, C]
        self._labels = (
            torch.from_numpy(data.labels).to(device) if config.conditional and data.labels is not None else None
        )
        self._config, self._processes, self._black = config, processes, lowest(recipe.sigmoid)
        self._chosen = _permutation(len(self._images), config.seed, -1).to(device)
        self._held_out = held_out_rows(len(self._images), config.seed).to(device)
        self._rows = self._chosen[len(self._held_out) :].sort().values
        self._batch_size, self._position = recipe.batch_size, done * recipe.batch_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def next(self) -> Real:
        """This process's share of the next batch; every image comes once in every epoch."""
        rows = torch.cat(list(self._places(self._batch_size)))
        real = self._take(self._processes.share(rows))
        return real._replace(images=self._mirrored(real.images)) if self._config.flip else real

    def held_out(self) -> Real:
        """Images that D never learns from: at most 512 or 5 %, none of fewer than 20."""
        return self._take(self._held_out)

    def sample(self, count: int, first: int = 0) -> Real:
        """``count`` images of the data, or all, always the same ones; those that are held out come first. Without the first ``first``."""
        return self._take(self._chosen[first:count])

    def _take(self, rows: Tensor) -> Real:
        images = to_images(self._images[rows], self._black).contiguous(memory_format=torch.channels_last)
        return Real(images, None if self._labels is None else self._labels[rows])

    def _mirrored(self, images: Tensor) -> Tensor:
        whole = torch.rand((self._batch_size, 1, 1, 1), device=images.device)
        return torch.where(self._processes.share(whole) < 0.5, images.flip(3), images)

    def _places(self, wanted: int) -> Iterator[Tensor]:
        while wanted:
            epoch, place = divmod(self._position, len(self._rows))
            if epoch != self._epoch:
                order = _permutation(len(self._rows), self._config.seed, epoch).to(self._rows.device)
                self._epoch, self._order = epoch, self._rows[order]  # once an epoch, so that no step waits for a copy
            taken = self._order[place : place + wanted]
            self._position += len(taken)
            wanted -= len(taken)
            yield taken


def _permutation(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63))
