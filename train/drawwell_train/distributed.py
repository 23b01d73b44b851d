"""The processes of one training: all hold the same weights, and each takes its share of every batch.

Everything random is drawn by every process for the whole batch, from the same random state, so that a batch, and what is
learned from it, does not depend on the number of processes; and a run may be continued with another number. Dropout alone
draws a share's masks, the same ones in every process: with it, another number of processes draws other masks and latents.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from drawwell.errors import DrawwellError


class LostProcessError(DrawwellError):
    """Another process of the training ended."""


@dataclass(frozen=True)
class Processes:
    """This one's number, from 0, and how many there are."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Connected to the others: by gloo on processors, by NCCL on CUDA, where each has a device of its own.

        Raises ``LostProcessError`` where the connection to one of them breaks.
        """
        if self.count == 1:
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

    def agree(self, value: Any) -> bool:
        """Whether all processes have the same value."""
        if self.count == 1:
            return True
        values = [None] * self.count
        dist.all_gather_object(values, value)
        return all(other == value for other in values)

    def any(self, verdict: bool) -> bool:
        """Whether one of all processes says so."""
        if self.count == 1:
            return verdict
        verdicts = [verdict] * self.count
        dist.all_gather_object(verdicts, verdict)
        return any(verdicts)

    def first_says(self, verdict: bool) -> bool:
        """The first process's, so that what a rounding may decide is decided alike by all."""
        if self.count == 1:
            return verdict
        verdicts = [verdict]
        dist.broadcast_object_list(verdicts, 0)
        return verdicts[0]

    def wait(self) -> None:
        """Return when all processes are here."""
        if self.count > 1:
            dist.barrier()


ALONE = Processes()


def started() -> Processes:
    """The processes that ``torchrun`` started, or this one alone."""
    return Processes(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


def on_this_machine() -> int:
    """How many of them share its processor."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@contextmanager
def _broken_connections() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise LostProcessError(
            "another process of this training ended, and says why; started again, all continue from the last checkpoint"
        ) from error
