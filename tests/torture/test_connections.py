"""Clients that send many requests before they read a reply, and clients that end their side of a connection and go on reading."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psutil
import pytest

from benchmarks.report import spread
from tests.conftest import Server, StartServer
from tests.raw import Reply, connect, exchange, replies, request

from .conftest import Record, times

GENERATOR = "fashion"
MODEL = b"GET /model HTTP/1.1\r\nHost: localhost\r\n\r\n"
MOST_BYTES = 64e6
"""That the memory of a worker may grow by: ten such pipelines took 700 MB."""
PATIENCE_SECONDS = 5
"""On a machine with much else to do."""
READ_A_SECOND = 2048
FORMATS = ("application/json", "application/x-npy", "application/x-tar", "application/zip")


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(GENERATOR)


def test_pipelines_that_nobody_reads_cost_others_nothing(server: Server, record: Record) -> None:
    """Connections that send requests without end and read no reply: the memory of the worker stays, and others are answered."""
    worker, count, waited = psutil.Process(server.process.pid).children()[0], times(100, 10), list[float]()
    httpx.get(f"{server.url}/model")
    before = grown = worker.memory_info().rss
    with _floods(server, count):
        until = time.monotonic() + times(20, 2)
        while time.monotonic() < until:
            begin = time.perf_counter()
            assert httpx.get(f"{server.url}/livez", timeout=60).is_success
            waited.append(time.perf_counter() - begin)
            grown = max(grown, worker.memory_info().rss)
    assert grown - before < MOST_BYTES and max(waited) < PATIENCE_SECONDS
    record(
        count=count,
        megabytes_grown=round((grown - before) / 1e6, 1),
        ms_of_a_probe=spread([1000 * seconds for seconds in waited]),
    )


@contextmanager
def _floods(server: Server, count: int) -> Iterator[None]:
    """Clients that send as much as is taken of them, and connect again when they are cut off."""
    ended = threading.Event()

    def flood() -> None:
        clients = [_Flood(server) for _ in range(count)]
        while not ended.wait(0.01):
            for client in clients:
                client.send_on()
        for client in clients:
            client.raw.close()

    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(flood)
        try:
            yield
        finally:
            ended.set()
        flooding.result()


class _Flood:
    """One such client."""

    _SENT = MODEL * 4000

    def __init__(self, server: Server) -> None:
        self._server, self._at = server, 0
        self._connect()

    def send_on(self) -> None:
        try:
            self._at = (self._at + self.raw.send(self._SENT[self._at :])) % len(MODEL)
        except BlockingIOError:
            pass
        except ConnectionError:
            self.raw.close()
            self._connect()

    def _connect(self) -> None:
        self.raw, self._at = connect(self._server, receive_bytes=4096), 0
        self.raw.setblocking(False)


def test_half_closed_clients_get_all_that_they_asked_for(server: Server, record: Record) -> None:
    """Clients that send some requests in random pieces, end their side and read: every reply comes, in order, with the bytes that
    it has by itself.
    """
    count = times(1000, 40)
    expected = {accept: exchange(server, _asking(accept, 999))[0].body for accept in FORMATS}
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda number: _half_close(server, expected, number), range(count)))
    record(count=count, requests=sum(asked), other_bytes=0)


def _half_close(server: Server, expected: dict[str, bytes], number: int) -> int:
    chance = random.Random(number)
    formats = chance.choices(FORMATS, k=chance.randint(1, 12))
    sent = b"".join(_asking(accept, 999).replace(b"Connection: close\r\n", b"") for accept in formats)
    several = _sent_in_pieces(server, chance, sent)
    assert [reply.status for reply in several] == [200] * len(formats), number
    assert [reply.body == expected[accept] for reply, accept in zip(several, formats, strict=True)] == [True] * len(
        formats
    )
    return len(formats)


def _sent_in_pieces(server: Server, chance: random.Random, sent: bytes) -> list[Reply]:
    received = b""
    with connect(server, seconds=60) as raw:
        while sent:
            size = int(10 ** chance.uniform(0, 4))
            raw.sendall(sent[:size])
            sent = sent[size:]
        raw.shutdown(socket.SHUT_WR)
        while came := raw.recv(65536):
            received += came
    return [reply for reply in replies(received) if reply.status != 100]


def _asking(accept: str, seed: int) -> bytes:
    count = 3 if accept == "application/json" else 300
    body = b'{"seed": %d, "count": %d}' % (seed, count)
    return request("POST", "/generate", body, Content_Type="application/json", Accept=accept)


def test_slow_readers_do_not_shut_others_out(start_server: StartServer, record: Record) -> None:
    """As many readers of 2 KB a second as there are places, each of a reply without end: others are answered."""
    places = times(256, 12)
    server = start_server(GENERATOR, DRAWWELL_QUEUE_REQUESTS=str(places))
    asking = request(
        "POST",
        "/generate",
        b'{"seed": 7, "count": 1000000}',
        Content_Type="application/json",
        Accept="application/x-npy",
    )
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(_read_slowly, server, places, asking, ended)
        try:
            time.sleep(4)
            statuses = [_status(server) for _ in range(times(100, 20))]
        finally:
            ended.set()
        left = reading.result()
    assert set(statuses) == {200}
    assert left >= places - len(statuses) - 1, "no more were cut off than others came"
    record(count=places, others_answered=len(statuses), readers_left=left)


def _status(server: Server) -> int:
    return httpx.post(f"{server.url}/generate", json={"seed": 7}, timeout=60).status_code


def _read_slowly(server: Server, count: int, asking: bytes, ended: threading.Event) -> int:
    """Returns how many are still connected in the end."""
    clients = [connect(server, receive_bytes=4096) for _ in range(count)]
    for raw in clients:
        raw.sendall(asking)
        raw.setblocking(False)
    while not ended.wait(0.25):
        clients = [raw for raw in clients if _reads(raw, READ_A_SECOND // 4)]
    for raw in clients:
        raw.close()
    return len(clients)


def _reads(raw: socket.socket, count: int) -> bool:
    try:
        return bool(raw.recv(count))
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
