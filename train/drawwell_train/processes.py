"""The processes of one training: all hold the same weights, and each takes its share of every batch.

Everything random is drawn by every process for the whole batch, from the same random state, so that a batch, and what is
learned from it, does not depend on the number of processes; and each may be continued with another number.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """This one's number, from 0, and how many there are."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's rows of a whole batch, which ``count`` divides."""
        rows = len(batch) // self.count
        return batch[self.rank * rows : (self.rank + 1) * rows]

    def average(self, tensors: Iterable[Tensor | None]) -> None:
        """Put the mean over all processes in the place of each tensor, in one message."""
        if self.count == 1:
            return
        given = [tensor for tensor in tensors if tensor is not None]
        together = torch.cat([tensor.detach().flatten() for tensor in given])
        dist.all_reduce(together)
        together /= self.count
        means = torch.split(together, [tensor.numel() for tensor in given])
        for tensor, mean in zip(given, means, strict=True):
            tensor.detach().copy_(mean.view_as(tensor))


ALONE = Processes()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that ``torchrun`` started, or this one alone: gloo on processors, NCCL on CUDA."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
