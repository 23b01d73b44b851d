"""Clients that leave in the middle of a reply."""

import json
import os
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil

from benchmarks.report import spread
from drawwell.engine.engine import Engine
from drawwell.formats.npy import Npy
from drawwell.opening import find_file
from tests.conftest import Server, StartServer

from .conftest import FULL, Record, times
from .metrics import total

GENERATOR = "fashion"
AT_ONCE = 10
SLOTS = 12
"""Of the server: leaked ones are missed soon."""
FORMATS = (
    ("application/x-npy", 100_000),
    ("application/x-tar", 100_000),
    ("application/zip", 100_000),
    ("application/json", 256),
)
POOL_THREADS = (os.cpu_count() or 1) + 4
"""The most that ``asyncio.to_thread`` starts, when it is asked to."""
STILL_SECONDS = 0.2
"""After which a counter that has not moved is said to stand still; a piece takes a tenth."""


def test_a_client_that_leaves_ends_its_work(start_server: StartServer, record: Record) -> None:
    """Clients that leave in the middle of a reply end its work within 0.5 s, and nothing of them stays."""
    server, chance = start_server(GENERATOR, DRAWWELL_QUEUE_REQUESTS=str(SLOTS)), random.Random(7)
    worker = psutil.Process(server.process.pid).children()[0]
    _leave(server, chance)
    _wait_until_still(server)
    before, seconds, wasted, rounds = _held(worker), [], [], times(1000, 20) // AT_ONCE
    for _ in range(rounds):
        _leave(server, chance)
        left, drawn = time.monotonic(), total(server, "drawwell_images_total")
        still, at_last = _wait_until_still(server)
        seconds.append(still - left)
        wasted.append(at_last - drawn)
        assert total(server, "drawwell_queue_requests") == total(server, "drawwell_queue_images") == 0
        assert total(server, "bentoml_service_request_in_progress", endpoint="/generate") == 0
    _fill_all_slots(server)
    _wait_until_still(server)
    after = _held(worker)
    assert after["files"] <= before["files"] and after["threads"] <= before["threads"] + POOL_THREADS, (before, after)
    assert "Traceback" not in server.log.read_text()
    if FULL:
        assert max(seconds) <= 0.5
    record(
        count=rounds * AT_ONCE,
        leaked=0,
        seconds_until_work_had_stopped=spread(seconds),
        images_drawn_after_ten_had_left=spread(wasted),
        worker_before=before,
        worker_after=after,
    )


def _leave(server: Server, chance: random.Random) -> None:
    """Some clients at once, each of which reads a random number of bytes of a random format as fast as it can, and closes."""
    several = [
        (*chance.choice(FORMATS), chance.randrange(10**9), int(10 ** chance.uniform(-1, 7))) for _ in range(AT_ONCE)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: _ask_and_leave(server, *one), several))


def _ask_and_leave(server: Server, media_type: str, count: int, seed: int, left: int) -> None:
    with _asking(server, media_type, count, seed) as client:
        while left > 0 and (came := client.recv(min(left, 65536))):
            left -= len(came)


def _asking(server: Server, media_type: str, count: int, seed: int) -> socket.socket:
    address = urlsplit(server.url)
    client = socket.create_connection((address.hostname, address.port), timeout=60)
    body = json.dumps({"seed": seed, "count": count}).encode()
    head = f"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: {media_type}\r\n"
    client.sendall(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return client


def _wait_until_still(server: Server) -> tuple[float, float]:
    """When, by ``time.monotonic``, the counter of images was first seen where it then stayed, and where that is."""
    last, since = total(server, "drawwell_images_total"), time.monotonic()
    deadline = since + 60
    while time.monotonic() < deadline:
        if time.monotonic() - since > STILL_SECONDS:
            return since, last
        time.sleep(0.01)
        if (now := total(server, "drawwell_images_total")) != last:
            last, since = now, time.monotonic()
    raise AssertionError("images are drawn on and on for nobody")


def _held(worker: psutil.Process) -> dict[str, float]:
    """What a leak would make more of."""
    time.sleep(0.1)  # the last connection, that of the metrics, is closed after it is read
    return {
        "files": worker.num_fds(),
        "threads": worker.num_threads(),
        "megabytes": round(worker.memory_info().rss / 1e6, 1),
    }


def _fill_all_slots(server: Server) -> None:
    """As many requests at once as there are slots: a leaked one would be a 429."""
    engine = Engine(find_file(GENERATOR))
    wanted = engine.generate(7, 2000)
    engine.close()
    with ThreadPoolExecutor(SLOTS) as pool, httpx.Client(base_url=server.url, timeout=60) as http:
        body, headers = {"seed": 7, "count": 2000}, {"Accept": "application/x-npy"}
        for answer in pool.map(lambda _: http.post("/generate", json=body, headers=headers), range(2 * SLOTS)):
            assert answer.status_code == 200, answer.text
            np.testing.assert_array_equal(Npy.decode(answer.content, wanted.images.shape), wanted.images)
