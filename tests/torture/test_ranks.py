"""The ranks of a distributed training, each with worker processes: what all of them draw together."""

import functools
import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from drawwell import Engine
from drawwell.datasets import TorchDataset, TorchStream
from drawwell.opening import find_file
from tests.conftest import START_SECONDS, StartServer

from .conftest import Record, times
from .test_job import sha

SEED, RANKS, WORKERS, EPOCHS, BATCH_IMAGES = 7, 2, 2, 4, 25


@dataclass(frozen=True)
class Job:
    """What every rank is told. Its processes meet at the file ``store``."""

    url: str
    size: int
    kind: str
    context: str
    store: Path


@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("kind", ["dataset", "stream"])
def test_ranks_and_their_workers_draw_every_address_once(
    start_server: StartServer, tmp_path: Path, record: Record, kind: str, context: str
) -> None:
    """2 ranks with 2 persistent workers each, forked or spawned: every address of every epoch comes once."""
    size, server = times(5_000, 100), start_server("fashion")
    job = Job(server.url, size, kind, context, tmp_path / "store")
    with ProcessPoolExecutor(RANKS, multiprocessing.get_context("spawn")) as pool:
        ranks = list(pool.map(functools.partial(drawn_by, job), range(RANKS), timeout=10 * START_SECONDS))
    with closing(Engine(find_file("fashion"))) as engine:
        for epoch, shares in enumerate(zip(*ranks, strict=True)):
            wanted = engine.generate(SEED, size, epoch * size).images
            assert sum(shares, Counter[str]()) == Counter(map(sha, wanted)), f"epoch {epoch}"
            assert [share.total() for share in shares] == [size // RANKS] * RANKS
    record(count=EPOCHS * size, epochs=EPOCHS, ranks=RANKS, workers=RANKS * WORKERS, lost=0, wrong=0, doubled=0)


def drawn_by(job: Job, rank: int) -> list[Counter[str]]:
    """The images of each epoch, in the process of one rank."""
    dist.init_process_group("gloo", init_method=f"file://{job.store}", rank=rank, world_size=RANKS)
    make = TorchDataset if job.kind == "dataset" else TorchStream
    data = make(job.url, seed=SEED, size=job.size, fresh_each_epoch=True)
    sampler: Any = DistributedSampler(data, shuffle=True) if isinstance(data, TorchDataset) else None
    loader = loading(data, sampler, job.context)
    epochs = []
    with closing(data.generator):
        for epoch in range(EPOCHS):
            data.set_epoch(epoch)
            if sampler:
                sampler.set_epoch(epoch)
            epochs.append(Counter(sha(image) for images, _ in loader for image in images.permute(0, 2, 3, 1).numpy()))
    dist.destroy_process_group()
    return epochs


def loading(data: Dataset[Any], sampler: Any, context: str) -> DataLoader[Any]:
    return DataLoader(
        data,
        BATCH_IMAGES,
        sampler=sampler,
        num_workers=WORKERS,
        persistent_workers=True,
        multiprocessing_context=context,
        timeout=START_SECONDS,
    )
