"""What the tests share: a small generator that was really trained and exported, and a real server."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import settings

from tests import forked

ROOT = Path(__file__).parents[1]
START_SECONDS = 60

for _number in (signal.SIGHUP, signal.SIGINT):
    # nohup and shells that start the suite in the background ignore these; a program that it tests would inherit that, but no handler
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers of pytest share the cores, and networks are narrow here
settings.register_profile("repeatable", derandomize=True, deadline=None)
if "DRAWWELL_TORTURE" not in os.environ:  # which searches further with every run
    settings.load_profile("repeatable")


TORCHS_FIRST_SEED = 67280421310721


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Every test draws the same numbers, alone and after others, on one thread, whatever those before it have set."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(TORCHS_FIRST_SEED)
        torch.set_num_threads(1)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """So does every module where it is imported."""
    if isinstance(collector, pytest.Module):
        pytest_runtest_setup()


SLOW_FIXTURES = {"server", "start_server", "tiny_run", "tiny_generator", "desk"}
QUICK_ROOMS = ("drawwell", "train/data", "train/networks", "train/step", "serve/http", "serve/drawing", "test_rooms.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as quick what needs neither a server nor a training, in rooms whose tests are of laws."""
    for item in items:
        room = item.path.relative_to(ROOT / "tests").as_posix()
        slow = SLOW_FIXTURES & set(getattr(item, "fixturenames", ())) or any(
            map(item.get_closest_marker, ("gpu", "slow"))
        )
        if room.startswith(QUICK_ROOMS) and not slow:
            item.add_marker("quick")


@dataclass(frozen=True)
class Server:
    """A `bentoml serve` process and where it listens."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: 30 steps on real digits with narrow networks."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    options = ["--steps", "30", "--width", "8", "--batch-size", "16", "--threads", "1", "--save-every", "10"]
    drawwell("train", "digits", "--out", str(run), "--license", "for tests", *options)
    return run


@pytest.fixture(scope="session")
def tiny_generator(tiny_run: Path) -> Path:
    """The generator file of ``tiny_run``."""
    drawwell("export", str(tiny_run))
    return tiny_run / "generator.onnx"


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start servers on free ports of the loopback; each is ended with the module."""
    with starting(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_generator: Path) -> Iterator[Server]:
    """One server of the tiny generator, from the project's root as a user would start it, for all modules."""
    with starting(tmp_path_factory) as start:
        yield start(tiny_generator)


@contextmanager
def starting(folders: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Within, servers can be started; afterwards all have ended."""
    started: list[Server] = []

    def start(
        generator: Path | str,
        cwd: Path = ROOT,
        python: str = sys.executable,
        what: str = ".",
        port: int | None = None,
        **extra: str,
    ) -> Server:
        home = folders.mktemp("bentoml")
        environment = server_environment(home) | {"DRAWWELL_GENERATOR": str(generator)} | extra
        port = port or free_port()
        command = [python, "-m", "bentoml", "serve", what, "--port", str(port)]
        log = home / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        server = Server(f"http://127.0.0.1:{port}", process, log)
        started.append(server)
        wait_until_ready(server)
        return server

    try:
        yield start
    finally:
        for server in started:
            server.process.terminate()
        for server in started:
            server.process.wait(START_SECONDS)


def server_environment(home: Path) -> dict[str, str]:
    """Servers that share a BENTOML_HOME spoil each other's metrics, so each has its own."""
    return os.environ | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if httpx.get(f"{server.url}/readyz").is_success:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(0.05)
    pytest.fail(f"the server did not get ready:\n{server.log.read_text()}")


def drawwell(*arguments: str, code: int = 0, fresh: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, ``fresh`` in an interpreter of its own, and check its exit code."""
    if fresh:
        command = [sys.executable, "-m", "drawwell", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    else:
        done = forked.Command(arguments).ended()
    assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done
