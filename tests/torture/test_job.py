"""A training job of many epochs over a server that is restarted under it, and that gets another generator in the end."""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from torch.utils.data import DataLoader

from drawwell import Engine, ResponseError
from drawwell.datasets import TorchDataset
from drawwell.opening import find_file
from tests.conftest import START_SECONDS, StartServer

from .conftest import Record, times

SEED, WORKERS, BATCH_IMAGES, EPOCH_IMAGES = 7, 4, 50, 1000
RETRY_SECONDS = 4 * START_SECONDS


class Changing:
    """A server at one URL that can be ended, and started again with any generator."""

    def __init__(self, start: StartServer) -> None:
        self._start, self._server = start, start("fashion")
        self.url = self._server.url

    def end(self) -> None:
        self._server.process.terminate()
        self._server.process.wait(START_SECONDS)

    def start(self, generator: Path | str) -> None:
        self._server = self._start(generator, port=httpx.URL(self.url).port)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")  # on fewer cores
def test_a_job_outlives_restarts_and_stops_at_another_generator(
    start_server: StartServer, tiny_generator: Path, record: Record
) -> None:
    """A job with 4 workers over a server that is restarted under it: every image of every epoch comes once. Another generator stops it.

    With ``pin=False`` the job goes on with the other generator.
    """
    epochs, restarts, server = times(24, 2), times(10, 1), Changing(start_server)
    pinned, follower = (
        TorchDataset(server.url, seed=SEED, size=EPOCH_IMAGES, fresh_each_epoch=True, retry_for=RETRY_SECONDS, pin=pin)
        for pin in (True, False)
    )
    loader, following = loading(pinned), loading(follower)
    with (
        closing(pinned.generator),
        closing(follower.generator),
        closing(Engine(find_file("fashion"))) as engine,
    ):
        for epoch in range(epochs):
            pinned.set_epoch(epoch)
            came = Counter(shas(loader, server if epoch < restarts else None))
            wanted = engine.generate(SEED, EPOCH_IMAGES, epoch * EPOCH_IMAGES).images
            assert came == Counter(map(sha, wanted)), f"epoch {epoch}"
        assert len(list(shas(following))) == EPOCH_IMAGES
        server.end()
        server.start(tiny_generator)
        pinned.set_epoch(epochs)
        with pytest.raises(ResponseError, match=r"now serves the generator .* open it again"):
            list(loader)
        assert len(list(shas(following))) == EPOCH_IMAGES
    record(count=epochs * EPOCH_IMAGES, epochs=epochs, restarts=restarts, lost=0, wrong=0, doubled=0)


def loading(dataset: TorchDataset) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        BATCH_IMAGES,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
        multiprocessing_context="fork",
    )


def shas(loader: DataLoader[Any], restarted: Changing | None = None) -> Iterator[str]:
    """The images of an epoch. After its first batch the server is ended, and started again while the workers wait for it.

    The workers have asked for 2 batches each by then, of 20.
    """
    for number, (images, _) in enumerate(loader):
        yield from (sha(image) for image in images.permute(0, 2, 3, 1).numpy())
        if restarted and not number:
            restarted.end()
            start = threading.Thread(target=restarted.start, args=["fashion"])
            start.start()
    if restarted:
        start.join()


def sha(image: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
