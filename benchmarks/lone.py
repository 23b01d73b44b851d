"""Latency of requests for one image, on a quiet server and while another client draws 4,096 images again and again.

The goal is a 99th percentile below the quiet one plus two pieces. A piece is the part of a request that one thread draws in one run.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from benchmarks.client import Case, drive, warm
from benchmarks.report import spread
from benchmarks.servers import Server

LONE, LONG = Case(clients=1, count=1), 4096


def beside_long(server: Server, seconds: float, image_bytes: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return both latencies, measured in turns, and the mean milliseconds of a piece of the long requests, from the server's metrics."""
    quiet, beside, piece_ms = list[float](), list[float](), list[float]()
    with server.awake():
        for _ in range(rounds):
            warm(server, LONE, 0.3)
            quiet.append(drive(server, LONE, seconds, image_bytes).p99_ms)
            with long_requests(server):
                count, total = runs(server)
                time.sleep(seconds)
                more_count, more_total = runs(server)
                piece_ms.append(1000 * (more_total - total) / (more_count - count))
                beside.append(drive(server, LONE, seconds, image_bytes).p99_ms)
    return {"quiet_p99_ms": spread(quiet), "beside_p99_ms": spread(beside), "piece_ms": spread(piece_ms)}


@contextmanager
def long_requests(server: Server) -> Iterator[None]:
    """While the context is open, one client sends long requests, one after the other, and discards the replies."""
    begun, enough = threading.Event(), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.client.base_url, headers=server.client.headers, timeout=60) as client:
            while not enough.is_set():
                with client.stream("POST", "/generate", json={"seed": 7, "count": LONG}) as reply:
                    for _ in reply.iter_raw(2**20):
                        begun.set()

    thread = threading.Thread(target=ask)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def runs(server: Server) -> tuple[float, float]:
    """Return the number of pieces that the server has drawn so far, and the seconds that this took."""
    lines = dict(line.rpartition(" ")[::2] for line in server.client.get("/metrics").text.splitlines())
    count, total = (float(lines[f'drawwell_stage_seconds_{what}{{stage="drawing"}}']) for what in ("count", "sum"))
    return count, total
