"""A lone image beside a long request: milliseconds of ``count=1`` on a quiet server, and while ``count=4096`` is drawn again and again.

Wanted is a p99 below the quiet one plus two pieces, a piece being what one thread draws in one run.
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
    """Both in turns, and between them the mean milliseconds of a piece, as the server's metrics have them: of the long requests alone."""
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
    """Within, one client draws long requests, one after the other, and throws them away."""
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
    """So far: how many, and the seconds that drawing them took."""
    lines = dict(line.rpartition(" ")[::2] for line in server.client.get("/metrics").text.splitlines())
    count, total = (float(lines[f'drawwell_stage_seconds_{what}{{stage="drawing"}}']) for what in ("count", "sum"))
    return count, total
