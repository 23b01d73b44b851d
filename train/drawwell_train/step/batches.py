"""Batches of real images: which images a step sees is a pure function of the seed and the step."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from drawwell_train.config import TrainConfig
from drawwell_train.data.images import ImageData, check_device_memory
from drawwell_train.distributed import shard
from drawwell_train.networks.base import lowest, to_images

_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.05, 512


class Real(NamedTuple):
    """Real images float32 ``[N, C, S, S]``, and their labels int64 ``[N]`` where classes are learned."""

    images: Tensor
    labels: Tensor | None = None


def held_out_of(images: int) -> int:
    """How many images of ``images`` are held out: D never learns from them."""
    return min(int(_HELD_OUT_SHARE * images), _MOST_HELD_OUT)


def held_out_rows(images: int, seed: int) -> Tensor:
    """Rows that a run of this seed holds out of ``images``, int64 ``[held_out_of(images)]``."""
    return _permutation(images, seed, -1)[: held_out_of(images)]


class Batches:
    """The data in batches, shuffled anew in every epoch, without the images that are held out.

    Batch ``b`` is a pure function of the seed and ``b``, so a checkpoint needs to record no place in the data.
    """

    def __init__(self, data: ImageData, config: TrainConfig, device: torch.device, done: int) -> None:
        """Continue after ``done`` batches. Raises ``DataError`` where the device has no room for the images."""
        check_device_memory(data.images.nbytes, device)
        self._images = torch.from_numpy(data.images).to(device)  # stays uint8, [N, S, S, C]
        self._labels = (
            torch.from_numpy(data.labels).to(device) if config.conditional and data.labels is not None else None
        )
        self._config, self._black = config, lowest(config.sigmoid)
        self._chosen = _permutation(len(self._images), config.seed, -1).to(device)
        self._held_out = held_out_rows(len(self._images), config.seed).to(device)
        self._rows = self._chosen[len(self._held_out) :].sort().values
        self._batch_size, self._position = config.batch_size, done * config.batch_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def next(self) -> Real:
        """This process's shard of the next batch. Every image comes once per epoch."""
        rows = torch.cat(list(self._places(self._batch_size)))
        real = self._take(shard(rows))
        return real._replace(images=self._mirrored(real.images)) if self._config.flip else real

    def held_out(self) -> Real:
        """The images that D never learns from: 5 % of the data, at most 512; none of fewer than 20."""
        return self._take(self._held_out)

    def fixed(self, first: int, last: int) -> Real:
        """Images ``first`` to ``last - 1`` of a fixed order, in which those that are held out come first; fewer where the data ends."""
        return self._take(self._chosen[first:last])

    def _take(self, rows: Tensor) -> Real:
        images = to_images(self._images[rows], self._black).contiguous(memory_format=torch.channels_last)
        return Real(images, None if self._labels is None else self._labels[rows])

    def _mirrored(self, images: Tensor) -> Tensor:
        whole = torch.rand((self._batch_size, 1, 1, 1), device=images.device)
        return torch.where(shard(whole) < 0.5, images.flip(3), images)

    def _places(self, count: int) -> Iterator[Tensor]:
        while count:
            epoch, place = divmod(self._position, len(self._rows))
            if epoch != self._epoch:
                # once an epoch, so that no step waits for a copy
                order = _permutation(len(self._rows), self._config.seed, epoch).to(self._rows.device)
                self._epoch, self._order = epoch, self._rows[order]
            taken = self._order[place : place + count]
            self._position += len(taken)
            count -= len(taken)
            yield taken


def _permutation(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63))
