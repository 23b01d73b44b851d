"""SIGTERM, as an orchestrator sends it to the process of `bentoml serve`, while clients ask."""

import itertools
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence

import httpx
import psutil
import pytest

from benchmarks.report import spread
from drawwell.engine.engine import Engine
from drawwell.formats.npy import NPY_TYPE
from drawwell.opening import find_file
from tests.conftest import Server, StartServer

from .conftest import Record, times
from .load import Asked, Seen, asked, under_load

GENERATOR = "fashion"
DRAIN_SECONDS = 20
"""Enough for the long stream on a slow machine, and less than an orchestrator's patience of 30 s."""
STREAM_IMAGES = 10_000


@pytest.fixture(scope="module")
def clients() -> list[tuple[Sequence[Asked], bool]]:
    """Of 1 and of 64 images, half of them on a connection that they keep, half on a new one for each request; one long stream."""
    engine = Engine(find_file(GENERATOR))
    several = [[asked(engine, seed, count, start=seed) for seed in range(8)] for count in (1, 64)]
    stream = [asked(engine, 9, STREAM_IMAGES)]
    engine.close()
    return [*itertools.product(several, (True, False)), *itertools.product(several, (True, False)), (stream, True)]


def test_sigterm_fails_no_accepted_request(
    start_server: StartServer, clients: list[tuple[Sequence[Asked], bool]], record: Record
) -> None:
    """SIGTERM under load fails no accepted request, and the server exits within DRAWWELL_DRAIN_SECONDS.

    Accepted is a request on a connection that has answered before, or that was made before the signal was sent, or on which
    a byte of a reply came. What is left are connections made after the signal: refused, or, "unaccepted", reset without a
    byte of a reply, because they were in the kernel's queue when the last process let go of the port.
    """
    stops, chance, kinds, seconds, images = times(50, 2), random.Random(7), Counter[str](), [], 0
    for stop in range(stops):
        server = start_server(GENERATOR, DRAWWELL_DRAIN_SECONDS=str(DRAIN_SECONDS), DRAWWELL_WORKERS=str(1 + stop % 2))
        with under_load(server.url, clients) as seen:
            time.sleep(chance.uniform(0.3, 1.5))
            seconds.append(_stop(server, seen))
        assert not seen.failures(), server.log.read_text()[-2000:]
        assert _statuses(server) == {200}
        kinds.update(seen.kinds)
        images += seen.images
    record(count=stops, failed=0, requests=dict(kinds), images=images, seconds_to_exit=spread(seconds))


def test_sigterm_is_heard_while_a_worker_is_replaced(start_server: StartServer, record: Record) -> None:
    """SIGTERM at any moment after a worker was killed ends the server, too."""
    stops, chance = times(30, 1), random.Random(7)
    for _ in range(stops):
        server = start_server(GENERATOR, DRAWWELL_WORKERS="2")
        psutil.Process(server.process.pid).children()[0].kill()
        time.sleep(chance.uniform(0, 0.5))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(DRAIN_SECONDS) == 0
    record(count=stops, unheard=0)


def test_a_stream_is_cut_off_at_the_end_of_the_drain(start_server: StartServer) -> None:
    """A reply that is still being read DRAWWELL_DRAIN_SECONDS after SIGTERM is cut off, and the server exits."""
    server = start_server(GENERATOR, DRAWWELL_DRAIN_SECONDS="1")
    body, headers = {"seed": 1, "count": 1_000_000}, {"Accept": NPY_TYPE}
    with httpx.stream("POST", f"{server.url}/generate", json=body, headers=headers, timeout=60) as answer:
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.TransportError):
            for _ in answer.iter_raw():
                pass
    assert server.process.wait(DRAIN_SECONDS) == 0


def _stop(server: Server, seen: Seen) -> float:
    """Seconds until the server has exited by itself."""
    begin = seen.signalled = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(DRAIN_SECONDS) == 0
    return time.monotonic() - begin


def _statuses(server: Server) -> set[int]:
    """Of every request for images that reached the application, in its own words."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return {line["status"] for line in lines if line.get("path") == "/generate"}
