"""Clients that are slow to send and slow to read, among others that are not."""

import http.client
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil

from tests.conftest import ROOT, Server, StartServer

from .conftest import FULL, Record, times

GENERATOR = "fashion"
CLOSED_SECONDS = 10
PATIENCE_SECONDS = 40
"""On a machine with much else to do, where only that they are closed is asserted."""


def test_slow_clients_are_closed_and_slow_down_nobody(start_server: StartServer, record: Record) -> None:
    """Half-open heads, stalled bodies and readers of some bytes a second, by the hundreds and all at once: each is closed within
    10 s, and a request for one image takes at most twice as long at its 99th percentile.
    """
    server = start_server(GENERATOR, DRAWWELL_KEEP_ALIVE_SECONDS="5")  # those that need not be read on are idle
    worker = psutil.Process(server.process.pid).children()[0]
    many, some, few = times(500, 20), times(100, 10), times(50, 5)
    _seconds_of_requests(server, times(5, 1))
    quiet = _seconds_of_requests(server, times(30, 2))
    began = time.monotonic()
    with _slow_clients(server, many, some, few) as kinds:
        opened = time.monotonic() - began
        busy, closed = list[float](), defaultdict[str, list[float]](list)
        while kinds and time.monotonic() - began < PATIENCE_SECONDS:
            busy += _seconds_of_requests(server, 0.2)
            for port in kinds.keys() - _connected(worker):
                kind, since = kinds.pop(port)
                closed[kind].append(time.monotonic() - since)
    assert not kinds, f"still open: {sorted(kind for kind, _ in kinds.values())}"
    assert _seconds_of_requests(server, 0.1)
    assert "Traceback" not in server.log.read_text()
    last, (p99, quiet_p99) = max(max(seconds) for seconds in closed.values()), (_p99(busy), _p99(quiet))
    if FULL:
        assert last <= CLOSED_SECONDS and p99 < 2 * quiet_p99
    record(
        count=sum(len(seconds) for seconds in closed.values()),
        seconds_until_all_had_connected=round(opened, 2),
        seconds_until_the_last_was_closed={kind: round(max(seconds), 2) for kind, seconds in closed.items()},
        requests={"quiet": len(quiet), "among slow clients": len(busy)},
        p50_ms={"quiet": _ms(statistics.median(quiet)), "among slow clients": _ms(statistics.median(busy))},
        p99_ms={"quiet": _ms(quiet_p99), "among slow clients": _ms(p99)},
    )


@contextmanager
def _slow_clients(server: Server, *counts: int) -> Iterator[dict[int, tuple[str, float]]]:
    """Those of ``slow.py``, connected: by its port, the kind of each and since when."""
    command = [sys.executable, "-m", "tests.torture.slow", str(urlsplit(server.url).port), *map(str, counts)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield {int(port): (kind, since) for port, (kind, since) in json.loads(process.stdout.readline()).items()}
        finally:
            process.stdin.close()


def _connected(worker: psutil.Process) -> set[int]:
    """The ports of the clients that the worker holds a connection to; those that only the kernel still has are not counted."""
    return {one.raddr.port for one in worker.net_connections("tcp") if one.raddr}


def _seconds_of_requests(server: Server, seconds: float) -> list[float]:
    """Of requests for one image each, one after the other on one connection."""
    address, taken, until = urlsplit(server.url), [], time.monotonic() + seconds
    client = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    headers = {"Content-Type": "application/json", "Accept": "application/x-npy"}
    while time.monotonic() < until:
        begin = time.perf_counter()
        client.request("POST", "/generate", b'{"seed": 7}', headers)
        answer = client.getresponse()
        body = answer.read()
        taken.append(time.perf_counter() - begin)
        assert answer.status == 200, body
    client.close()
    return taken


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)
