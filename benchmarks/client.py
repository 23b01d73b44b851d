"""The client: wrk, in C and on one thread, so that it takes as little as possible of the cores that it measures."""

import contextlib
import itertools
import json
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import Server

SCRIPT = Path(__file__).with_name("wrk.lua")

_first_seeds = itertools.count(10**9, 10**9)  # no server is asked for the same images twice


@dataclass(frozen=True)
class Case:
    """So many clients, each of which asks for so many images as soon as it has its last."""

    clients: int
    count: int


@dataclass(frozen=True)
class Stretch:
    images_a_second: float
    p50_ms: float
    p99_ms: float


def insist_on_wrk() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("the client of this measurement is wrk, which is not here: apt install wrk")


def warm(server: Server, case: Case, seconds: float) -> None:
    """As many clients for a moment, which wait for their last replies: wrk would leave work behind for the stretch after it."""
    until = time.monotonic() + seconds

    def ask(seed: int) -> None:
        while time.monotonic() < until:
            server.generate(seed, case.count)

    with ThreadPoolExecutor(case.clients) as pool:
        list(pool.map(ask, range(case.clients)))


def drive(server: Server, case: Case, seconds: float, image_bytes: int) -> Stretch:
    """Ask for so long. Ends the measurement where a request failed or a reply was short."""
    arguments = [str(case.count), str(next(_first_seeds)), str(case.clients)]
    command = ["wrk", "-t1", f"-c{case.clients}", "-d1h", "--timeout", "60s", "-s", str(SCRIPT)]
    process = subprocess.Popen(
        [*command, str(server.client.base_url.join("/generate")), "--", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.send_signal(signal.SIGINT)  # wrk's own limit is in whole seconds
        return _read(process.communicate()[1], case, image_bytes)
    finally:
        process.kill()


def _read(output: str, case: Case, image_bytes: int) -> Stretch:
    try:
        seen = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        raise SystemExit(f"wrk printed no results: {output!r}") from None
    if seen["failed"]:
        raise SystemExit(f"{seen['failed']} requests of {seen['requests']} failed: {case}")
    if seen["replies"] < 1:
        raise SystemExit(f"not one reply in the whole stretch, which should be longer: {case}")
    if seen["bytes"] < seen["requests"] * case.count * image_bytes:
        raise SystemExit(f"replies are too short: {case}, {seen['bytes']} bytes of {seen['requests']} replies")
    return Stretch(seen["replies"] * case.count / seen["seconds"], seen["p50_ms"], seen["p99_ms"])
