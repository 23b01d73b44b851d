"""Images a second of ``POST /generate`` as npy, count 256, beside the bare session of the same file in the same run.

The client is one process of Python that reads each reply whole, with one connection or two at once, on the same machine.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import onnxruntime

from benchmarks.report import interleaved, spread, write
from drawwell.engine import Engine
from drawwell.latents import latents
from drawwell.opening import find_file

COUNT, REQUESTS, ROUNDS, STARTS = 256, 20, 9, 5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--generator", default="fashion")
    parser.add_argument("--provider", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    starts = []
    for _ in range(STARTS):
        with server(options.generator, options.provider) as (_, seconds_to_ready):
            starts.append(seconds_to_ready)
    with server(options.generator, options.provider) as (port, _):
        cases = {
            "bare_session": bare_session(options.generator, options.provider),
            "http_1_client": over_http(port, 1),
            "http_2_clients": over_http(port, 2),
        }
        measured = interleaved({name: images_a_second(call) for name, call in cases.items()}, ROUNDS)
    bare = measured["bare_session"]["median"]
    ratios = {name: measured[name]["median"] / bare for name in ("http_1_client", "http_2_clients")}
    figures = {
        "images_a_second": measured,
        "against_bare_session": ratios,
        "seconds_from_start_to_ready": spread(starts),
    }
    write(f"serving-{options.provider}", {"generator": options.generator, "count": COUNT, **figures}, options.provider)


def images_a_second(call: Callable[[], None]) -> Callable[[], float]:
    def timed() -> float:
        begin = time.perf_counter()
        call()
        return REQUESTS * COUNT / (time.perf_counter() - begin)

    return timed


def bare_session(generator: str, provider: str) -> Callable[[], None]:
    """ONNX Runtime as it comes, latents made beforehand, nothing checked, nothing sent."""
    wanted = "CUDAExecutionProvider" if provider == "cuda" else "CPUExecutionProvider"
    if provider == "cuda":
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(find_file(generator), providers=[wanted])
    if session.get_providers()[0] != wanted:
        raise SystemExit(f"{wanted} cannot be had here")
    card = Engine(find_file(generator), "cpu").card
    z = latents(7, range(COUNT), card.latent_dim, card.prior)

    def run() -> None:
        for _ in range(REQUESTS):
            session.run(None, {"z": z})

    return run


def over_http(port: int, clients: int) -> Callable[[], None]:
    connections = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(clients)]
    pool = concurrent.futures.ThreadPoolExecutor(clients)

    def ask(connection: http.client.HTTPConnection, seed: int) -> None:
        headers = {"Content-Type": "application/json", "Accept": "application/x-npy"}
        connection.request("POST", "/generate", json.dumps({"seed": seed, "count": COUNT}), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body

    def ask_all(connection: http.client.HTTPConnection) -> None:
        for seed in range(REQUESTS // clients):
            ask(connection, seed)

    def run() -> None:
        shares = [pool.submit(ask_all, connection) for connection in connections]
        for share in shares:
            share.result()

    return run


@contextmanager
def server(generator: str, provider: str) -> Iterator[tuple[int, float]]:
    """Start `bentoml serve` on a free port; yield the port and the seconds until it was ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        variables = {
            "BENTOML_HOME": home,
            "BENTOML_DO_NOT_TRACK": "True",
            "DRAWWELL_GENERATOR": generator,
            "DRAWWELL_PROVIDER": provider,
        }
        command = [sys.executable, "-m", "bentoml", "serve", "--port", str(port)]
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=Path(__file__).parents[1], env=os.environ | variables, stdout=subprocess.DEVNULL
        )
        try:
            _wait(f"http://127.0.0.1:{port}/readyz")
            yield port, time.perf_counter() - begin
        finally:
            process.terminate()
            process.wait(30)


def _wait(url: str) -> None:
    for _ in range(1200):
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit("the server did not get ready")


if __name__ == "__main__":
    main()
