"""Servers as processes of their own, which sleep while it is another's turn."""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from benchmarks.pages import ROOT

START_SECONDS, SETTLE_SECONDS = 60, 0.5


@dataclass(frozen=True)
class Contender:
    """How a server is started: arguments of Python, in which PORT stands for the port, and environment variables."""

    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A server that has answered its first request with 200, so many seconds after its process began."""

    client: httpx.Client
    process: psutil.Process
    start_seconds: float

    def generate(self, seed: int, count: int) -> bytes:
        answer = self.client.post("/generate", json={"seed": seed, "count": count})
        if answer.status_code != 200:
            raise SystemExit(f"{answer.status_code} instead of 200: {answer.text[:500]}")
        return answer.content

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Within, it runs. What a client left unread may end before it is stopped again."""
        for one in _family(self.process):
            one.resume()
        yield
        time.sleep(SETTLE_SECONDS)
        self.sleep()

    def sleep(self) -> None:
        """Stop it as ^Z would: even idle servers poll, LitServe a thousand times a second."""
        for one in _family(self.process):
            one.suspend()


@contextmanager
def serving(name: str, contender: Contender) -> Iterator[Server]:
    """Start it and wait for its first reply. Ends the measurement with its last words where there is none."""
    with TemporaryDirectory() as home:
        log, port = Path(home) / "log", _free_port()
        arguments = [argument.replace("PORT", str(port)) for argument in contender.arguments]
        # two servers that share a BENTOML_HOME spoil each other's metrics
        variables = {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True", **contender.variables}
        begin = time.perf_counter()
        with log.open("wb") as stream:
            process = psutil.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=os.environ | variables,
                stdout=stream,
                stderr=stream,
                start_new_session=True,  # ^C is for the measurement, which ends its servers itself
            )
        url, headers = f"http://127.0.0.1:{port}", {"Accept": "application/x-npy"}
        unkept = httpx.Limits(max_keepalive_connections=0)  # a server that wakes closes what it had kept
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=START_SECONDS, limits=unkept) as client:
                _wait(name, process, client, log)
                yield Server(client, process, time.perf_counter() - begin)
        finally:
            _end(process)


def _wait(name: str, process: psutil.Popen, client: httpx.Client, log: Path) -> None:
    deadline, last = time.monotonic() + START_SECONDS, "no connection"
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            answer = client.post("/generate", json={"seed": 7, "count": 1})
            if answer.status_code == 200:
                return
            last = f"{answer.status_code}, {answer.text[:200]}"
        time.sleep(0.005)
    ended = "it ended" if process.poll() is not None else f"no reply in {START_SECONDS} s ({last})"
    raise SystemExit(f"{name} did not start: {ended}\n{log.read_text(errors='replace')[-2000:]}")


def _end(process: psutil.Popen) -> None:
    """With its children: BentoML's are not of its group, and where a server has ended by itself only the group is left."""
    family = _family(process)
    for one in family:
        one.resume()
    if process.poll() is None:
        process.terminate()
    _, alive = psutil.wait_procs(family, timeout=10)
    for one in alive:
        one.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
