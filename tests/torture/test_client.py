"""The client where the other end means harm, and where its process is forked in the middle of its work."""

import itertools
import multiprocessing
import random
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager

import httpx
import numpy as np
import pytest

from drawwell.engine.engine import Engine
from drawwell.errors import DrawwellError
from drawwell.generator import ImageGenerator
from drawwell.http.client import Client
from drawwell.opening import find_file
from tests.async_client import AsyncAsClient
from tests.conftest import StartServer
from tests.scripted import DIGEST, Handler, body_of, headers_of, pixels, serving

from .conftest import Record, times
from .faults import FAULTS, faulty
from .replies import mutated

SEED = 7
TIMEOUT = 0.5
LIMIT_SECONDS = 30
"""Of a call that should end after twice its timeout, on a busy machine."""
CALL_IMAGES, PIECE_IMAGES = 1000, 100
FAULTY_SHARE = 0.2
MOST_REQUESTS = 1.5
"""Times the requests that a good line needs."""
MOST_BYTES = 32 * 2**20
PROCESSES, THREADS, CALLS = 4, 3, 25

_client: Client


def test_damaged_replies_are_errors_and_never_images(record: Record) -> None:
    """Mutated replies: the client returns the images that it asked for, or raises an error of its own in one line, soon."""
    count, chance, outcomes, most_seconds = times(5000, 200), random.Random(SEED), Counter[str](), 0.0

    def reply(handler: Handler, asked: dict[str, int]) -> None:
        handler.close_connection = chance.random() < 0.5
        handler.wfile.write(mutated(chance, whole(asked)))

    tracemalloc.start()
    with serving() as scripted, closing(Client(scripted.url, timeout=TIMEOUT, retry_for=0)) as client:
        scripted.script = [reply]
        for number in range(count):
            scripted.asked.clear()
            begin = time.monotonic()
            outcomes[outcome(client, number)] += 1
            most_seconds = max(most_seconds, time.monotonic() - begin)
        most_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most_seconds < LIMIT_SECONDS
    assert most_bytes < MOST_BYTES
    assert set(outcomes) <= {
        "images",
        "RequestError",
        "ResponseError",
        "UnreachableError",
        "UnavailableError",
    }
    record(
        count=count,
        outcomes=dict(outcomes.most_common()),
        most_seconds=round(most_seconds, 2),
        most_megabytes=round(most_bytes / 1e6, 1),
    )


def outcome(client: Client, seed: int) -> str:
    """What a call came to. Fails for wrong images, and for a message that is more than a line."""
    try:
        images, failure = client.generate(seed, 3).images, None
    except DrawwellError as error:
        images, failure = None, error
    if failure is not None:
        assert str(failure).isprintable()
        assert len(str(failure)) < 3000
        return type(failure).__name__
    np.testing.assert_array_equal(images, pixels({"start": 0, "count": 3}))
    return "images"


def whole(asked: dict[str, int]) -> bytes:
    """A right reply, byte for byte."""
    body = body_of(pixels(asked))
    headers = headers_of(asked) | {"Content-Length": str(len(body))}
    assert DIGEST in headers.values()
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize("kind", [Client, AsyncAsClient], ids=["client", "async_client"])
def test_a_bad_line_loses_no_image(
    kind: type[ImageGenerator], start_server: StartServer, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a proxy that delays, cuts, duplicates, corrupts and resets: every image comes once, with few requests more."""
    count, server = times(100_000, 8_000), start_server("fashion")
    upstream = httpx.URL(server.url)
    monkeypatch.setattr("drawwell.http.exchange.REQUEST_IMAGES", PIECE_IMAGES)
    with (
        faulty((upstream.host, upstream.port or 80), random.Random(SEED), FAULTY_SHARE) as proxy,
        closing(kind(proxy.url, retry_for=LIMIT_SECONDS * 4)) as client,  # type: ignore[call-arg]
        closing(Engine(find_file("fashion"))) as engine,
    ):
        needed, wrong = 0, 0
        for start in range(0, count, CALL_IMAGES):
            drawn, wanted = (one.generate(SEED, min(CALL_IMAGES, count - start), start) for one in (client, engine))
            assert drawn.indices == wanted.indices
            wrong += int((drawn.images != wanted.images).any(axis=(1, 2, 3)).sum())
            needed += -(-len(drawn) // PIECE_IMAGES)
    assert wrong == 0
    assert sum(proxy.faults[fault] for fault in FAULTS) > 0, "nothing was tried"
    assert proxy.requests <= MOST_REQUESTS * needed
    record(
        count=count, lost=0, wrong=wrong, doubled=0, needed=needed, requests=proxy.requests, faults=dict(proxy.faults)
    )


def test_a_fork_in_the_middle_of_its_work_loses_nothing(start_server: StartServer, record: Record) -> None:
    """Processes forked while several threads draw with a client: each draws its images, and the threads draw theirs."""
    global _client
    fork = multiprocessing.get_context("fork")
    server, rounds, images = start_server("fashion"), times(60, 3), Counter[str]()
    with closing(Client(server.url)) as _client, closing(Engine(find_file("fashion"))) as engine:
        wanted = {start: engine.generate(SEED, 4, start).images.tobytes() for start in range(CALLS)}
        for _ in range(rounds):
            with drawing_on(wanted, images), ProcessPoolExecutor(PROCESSES, mp_context=fork) as pool:
                drawn = pool.map(draw, range(CALLS), timeout=LIMIT_SECONDS * 4)
                assert dict(zip(range(CALLS), drawn, strict=True)) == wanted
            images["in forked processes"] += 4 * CALLS
    record(count=rounds * PROCESSES, lost=0, images=dict(images))


def draw(start: int) -> bytes:
    return _client.generate(SEED, 4, start).images.tobytes()


@contextmanager
def drawing_on(wanted: dict[int, bytes], images: Counter[str]) -> Iterator[None]:
    """Several threads draw meanwhile. Fails where one got other bytes."""
    ends, wrong = threading.Event(), list[int]()

    def draw_on() -> None:
        for start in itertools.cycle(range(CALLS)):
            if ends.is_set():
                return
            if draw(start) != wanted[start]:
                wrong.append(start)
            images["in their parent meanwhile"] += 4

    threads = [threading.Thread(target=draw_on) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert not wrong
