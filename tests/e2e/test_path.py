"""From images to bytes over HTTP: train, export, serve, draw, and the same image by every way."""

import io
from pathlib import Path

import httpx
import numpy as np
import torch
from torch.utils.data import DataLoader

import drawwell
from tests.conftest import Server, StartServer


def test_an_image_is_the_same_by_every_way(tiny_generator: Path, server: Server) -> None:
    local, remote = drawwell.open(tiny_generator), drawwell.open(server.url)
    assert local.card == remote.card
    assert local.digest == remote.digest
    wanted = local.generate(seed=7, count=5000).images
    np.testing.assert_array_equal(remote.generate(seed=7, count=5000).images, wanted)
    np.testing.assert_array_equal(remote.generate(seed=7, indices=[4999, 0, 64]).images, wanted[[4999, 0, 64]])
    raw = httpx.post(f"{server.url}/generate", json={"seed": 7, "count": 300}, headers={"Accept": "application/x-npy"})
    np.testing.assert_array_equal(np.load(io.BytesIO(raw.content)), wanted[:300])
    loader = DataLoader(drawwell.datasets.TorchDataset(remote, seed=7, size=300), batch_size=50)
    loaded = torch.cat([images for images, _ in loader]).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(loaded, wanted[:300])
    local.close()
    remote.close()


def test_a_restart_and_another_worker_draw_the_same(tiny_generator: Path, start_server: StartServer) -> None:
    drawn = []
    for threads in ("1", "2"):
        server = start_server(tiny_generator, DRAWWELL_THREADS=threads)
        client = drawwell.open(server.url)
        drawn.append(client.generate(3, 500).images)
        client.close()
        server.process.terminate()
        assert server.process.wait(30) == 0
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_the_client_outlives_a_server_that_is_killed(tiny_generator: Path, start_server: StartServer) -> None:
    """BentoML starts its worker again; the client waits for it and loses nothing."""
    import psutil

    server = start_server(tiny_generator)
    client = drawwell.open(server.url)
    wanted = client.generate(3, 500).images
    workers = psutil.Process(server.process.pid).children(recursive=True)
    assert workers
    for worker in workers:
        worker.kill()
    np.testing.assert_array_equal(client.generate(3, 500).images, wanted)
    client.close()
