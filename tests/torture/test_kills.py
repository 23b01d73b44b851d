"""kill -9, as the kernel does it when memory runs out: of a worker while clients draw, and of the supervisor."""

import itertools
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import pytest

import drawwell
from benchmarks.report import spread
from drawwell.engine.engine import Engine
from drawwell.generator import Batch
from drawwell.opening import find_file
from tests.conftest import START_SECONDS, Server, StartServer

from .conftest import FULL, Record, times
from .metrics import total

GENERATOR, WORKERS, CLIENTS = "fashion", 2, 6
COUNTS = (1, 64, 3, 500)
MAX_SECONDS = 10
"""Until the full capacity is back, on a machine with nothing else running."""


@pytest.fixture(scope="module")
def wanted() -> list[Batch]:
    """What the clients draw again and again, as it is drawn here."""
    engine = Engine(find_file(GENERATOR))
    batches = [engine.generate(seed, count, start=seed) for seed, count in enumerate(COUNTS)]
    engine.close()
    return batches


def test_kill_9_of_a_worker_loses_no_image(
    start_server: StartServer, wanted: list[Batch], record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """kill -9 of a worker under load loses no image, and the full capacity is back within 10 s."""
    caplog.set_level(logging.ERROR, "drawwell.client")  # which warns of every connection that breaks
    server, kills, seconds = start_server(GENERATOR, DRAWWELL_WORKERS=str(WORKERS)), times(30, 2), []
    _wait_until_all_answer(server)
    with _drawing(server, wanted) as drawn:
        for _ in range(kills):
            time.sleep(0.5)
            begin = time.monotonic()
            _workers(server)[0].kill()
            _wait_until_all_answer(server)
            seconds.append(time.monotonic() - begin)
    assert all(drawn)
    if FULL:
        assert max(seconds) <= MAX_SECONDS
    assert "Traceback" not in server.log.read_text()
    record(count=kills, lost=0, images=sum(drawn), seconds_to_full_capacity=spread(seconds))


def test_what_a_killed_worker_had_in_hand_is_not_counted_for_ever(start_server: StartServer) -> None:
    server = start_server(GENERATOR, DRAWWELL_WORKERS=str(WORKERS))
    _wait_until_all_answer(server)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(_stream_under_way(server))
        assert total(server, "drawwell_queue_requests") == 8
        for worker in _workers(server):
            worker.kill()
        _wait_until_all_answer(server)
    assert total(server, "drawwell_workers") == WORKERS
    assert total(server, "drawwell_queue_requests") == total(server, "drawwell_queue_images") == 0
    assert total(server, "bentoml_service_request_in_progress", endpoint="/generate") == 0


def test_kill_9_of_the_supervisor_ends_its_workers_and_frees_the_port(start_server: StartServer) -> None:
    server = start_server(GENERATOR, DRAWWELL_WORKERS=str(WORKERS))
    _wait_until_all_answer(server)
    workers = _workers(server)
    server.process.kill()
    server.process.wait()
    _, alive = psutil.wait_procs(workers, START_SECONDS)
    assert not alive
    with socket.create_server(("127.0.0.1", _port(server))):
        pass


@contextmanager
def _drawing(server: Server, wanted: list[Batch]) -> Iterator[list[int]]:
    """Several clients, which draw and compare until the end; the images that each of them has had."""
    ended, drawn = threading.Event(), [0] * CLIENTS
    failures: list[BaseException] = []

    def draw(number: int) -> None:
        try:
            client = drawwell.open(server.url)
            for batch in itertools.cycle(wanted[number % len(wanted) :] + wanted[: number % len(wanted)]):
                if ended.is_set():
                    break
                came = client.generate(batch.seed, indices=batch.indices)
                np.testing.assert_array_equal(came.images, batch.images)
                drawn[number] += len(came)
            client.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=draw, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield drawn
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failures


@contextmanager
def _stream_under_way(server: Server) -> Iterator[httpx.Response]:
    body, headers = {"seed": 1, "count": 1_000_000}, {"Accept": "application/x-npy"}
    with httpx.stream("POST", f"{server.url}/generate", json=body, headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        yield answer


def _workers(server: Server) -> list[psutil.Process]:
    return list(psutil.Process(server.process.pid).children())


def _wait_until_all_answer(server: Server) -> None:
    """Ask on new connections, which are kept, until each of the workers has answered one."""
    deadline = time.monotonic() + START_SECONDS
    with ExitStack() as stack:
        while time.monotonic() < deadline:
            http = stack.enter_context(httpx.Client(timeout=START_SECONDS))
            try:
                assert http.get(f"{server.url}/readyz").is_success
            except httpx.TransportError:  # it was the killed worker's
                continue
            workers = _workers(server)
            if len(workers) == WORKERS and all(_has_accepted(worker, _port(server)) for worker in workers):
                return
            time.sleep(0.02)
    pytest.fail(f"not all workers answer:\n{server.log.read_text()[-2000:]}")


def _has_accepted(worker: psutil.Process, port: int) -> bool:
    try:
        connections = worker.net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in connections)


def _port(server: Server) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port
