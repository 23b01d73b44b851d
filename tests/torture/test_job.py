"""A training job of many epochs over a server that is restarted under it, and that gets another generator in the end."""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
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
RESTART_AFTER_SECONDS = 0.2
"""Of the beginning of an epoch: some of its batches have come then, and others are on their way."""


class Changing:
    """A server at one URL that can be ended, and started again with any generator."""

    def __init__(self, start: StartServer) -> None:
        self._start, self._server = start, start("fashion")
        self.url = self._server.url

    def serve(self, generator: Path | str) -> None:
        """End the server, and start another in its place."""
        self._server.process.terminate()
        self._server.process.wait(START_SECONDS)
        self._server = self._start(generator, port=httpx.URL(self.url).port)

    @contextmanager
    def restarting(self, restarts: bool) -> Iterator[None]:
        """Restart it while the block works."""
        restart = threading.Timer(RESTART_AFTER_SECONDS, self.serve, ["fashion"]) if restarts else None
        if restart:
            restart.start()
        yield
        if restart:
            restart.join()


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
            with server.restarting(epoch < restarts):
                came = Counter(shas(loader))
            wanted = engine.generate(SEED, EPOCH_IMAGES, epoch * EPOCH_IMAGES).images
            assert came == Counter(map(sha, wanted)), f"epoch {epoch}"
        assert len(list(shas(following))) == EPOCH_IMAGES
        server.serve(tiny_generator)
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


def shas(loader: DataLoader[Any]) -> Iterator[str]:
    for images, _ in loader:
        yield from (sha(image) for image in images.permute(0, 2, 3, 1).numpy())


def sha(image: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
