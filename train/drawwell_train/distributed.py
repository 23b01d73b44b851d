"""The processes of one training: all hold the same weights, and each computes on its shard of every batch.

Every process draws the random numbers of the whole batch from the same random state and takes its shard of them. So a batch, and
the step it makes, do not depend on the number of processes, and a run may be continued with another number. The exception is
dropout: each process draws the masks of its shard, the same ones in every process.

``torchrun`` says rank and world size in the environment; without it one process is all there is, and nothing here communicates.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from drawwell.errors import DrawwellError


class LostProcessError(DrawwellError):
    """Another process of the training ended."""


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """The number of processes, on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_world_size() -> int:
    """The number of processes on this machine, which share its cores and its memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes files and prints."""
    return rank() == 0


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Connect the processes: by gloo on ``cpu``; by NCCL on ``cuda``, where each takes a device of its own.

    Raises:
        LostProcessError: the connection to another process breaks.
    """
    if world_size() == 1:
        yield
        return
    if device == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
        dist.init_process_group("nccl", device_id=own)
    else:
        dist.init_process_group("gloo")
    try:
        with _broken_connections():
            yield
    finally:
        dist.destroy_process_group()


def shard(batch: Tensor) -> Tensor:
    """The rows of this process, of a whole batch ``[N, ...]``; ``world_size()`` divides N."""
    rows = len(batch) // world_size()
    return batch[rank() * rows : (rank() + 1) * rows]


def random_shard(draw: Callable[..., Tensor], shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Random numbers for the ``shape[0]`` rows of this process, drawn by ``draw`` for the rows of all processes."""
    return shard(draw((shape[0] * world_size(), *shape[1:]), device=device))


def all_reduce_mean(tensors: Iterable[Tensor | None]) -> None:
    """Replace each tensor by its mean over all processes, in one message. None is skipped."""
    if world_size() == 1:
        return
    given = [tensor for tensor in tensors if tensor is not None]
    together = torch.cat([tensor.detach().flatten() for tensor in given])
    dist.all_reduce(together)
    together /= world_size()
    means = torch.split(together, [tensor.numel() for tensor in given])
    for tensor, mean in zip(given, means, strict=True):
        tensor.detach().copy_(mean.view_as(tensor))


def all_equal(value: Any) -> bool:
    """Whether all processes have the same value."""
    return all(other == value for other in _all_gather(value))


def any_true(flag: bool) -> bool:
    """Whether the flag is set in any process."""
    return any(_all_gather(flag))


def _all_gather(value: Any) -> list[Any]:
    values = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return values


def broadcast(flag: bool) -> bool:
    """The flag of the first process. All then decide alike, even where rounding would let them differ."""
    flags = [flag]
    if world_size() > 1:
        dist.broadcast_object_list(flags, 0)
    return flags[0]


def barrier() -> None:
    """Return when all processes are here."""
    if world_size() > 1:
        dist.barrier()


@contextmanager
def _broken_connections() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise LostProcessError(
            "another process of this training ended; its own message says why. Start the training again: all processes continue "
            "from the last checkpoint"
        ) from error
