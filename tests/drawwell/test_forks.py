"""Generators that were opened before a fork, and errors on their way back from another process."""

import importlib
import multiprocessing
import pickle
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import drawwell
from drawwell.engine.engine import Engine
from drawwell.errors import DrawwellError
from drawwell.http.client import Client
from drawwell.opening import find_file
from tests.conftest import ROOT, Server
from tests.scripted import serving

FORK = multiprocessing.get_context("fork")
PROCESSES, CALLS, SECONDS = 3, 40, 120
FOLDERS = ("drawwell", "train/drawwell_train", "export/drawwell_export", "serve/drawwell_serve")
ARGUMENTS = {
    "WriteError": (Path("x"), 3, OSError(28, "full")),
    "ApiError": (400, "code", "message", "field", {"Retry-After": "1"}),
}
"""Of those that take more than a sentence."""

_generator: drawwell.ImageGenerator


def draw(start: int) -> bytes:
    """In a forked process, from the generator that it found."""
    return _generator.generate(7, 2, start=start).images.tobytes()


def draw_forked(generator: drawwell.ImageGenerator) -> list[bytes]:
    """Draw in several processes at once, all forked while ``generator`` is in use here."""
    global _generator
    _generator = generator
    with busy(lambda: generator.generate(8, 64)), ProcessPoolExecutor(PROCESSES, mp_context=FORK) as pool:
        return list(pool.map(draw, range(CALLS), timeout=SECONDS))


@contextmanager
def busy(work: Callable[[], object]) -> Iterator[None]:
    """Another thread works all the time: it holds locks and sockets at the moment of any fork."""
    ends, begun = threading.Event(), threading.Event()

    def again() -> None:
        while not ends.is_set():
            work()
            begun.set()

    thread = threading.Thread(target=again)
    thread.start()
    begun.wait(SECONDS)
    try:
        yield
    finally:
        ends.set()
        thread.join()


def test_forked_processes_draw_from_a_server(server: Server, tiny_generator: Path) -> None:
    with closing(Client(server.url, retry_for=0)) as client, closing(Engine(tiny_generator)) as engine:
        wanted = [engine.generate(7, 2, start=start).images.tobytes() for start in range(CALLS)]
        assert draw_forked(client) == wanted
        assert client.generate(7, 2, start=5).images.tobytes() == wanted[5], "the parent's connections are its own"


def test_forked_processes_draw_from_a_file() -> None:
    with closing(Engine(find_file("fashion"), threads=2)) as engine:
        wanted = [engine.generate(7, 2, start=start).images.tobytes() for start in range(CALLS)]
        assert draw_forked(engine) == wanted


def test_a_forked_process_has_connections_of_its_own() -> None:
    """Told by the server: a connection that two processes share would answer either with the other's reply."""
    global _generator
    with serving() as scripted, closing(Client(scripted.url, retry_for=0)) as client:
        _generator = client
        before = scripted.connections
        draw(0)
        assert scripted.connections == before, "a connection is used again"
        with ProcessPoolExecutor(1, mp_context=FORK) as pool:
            pool.submit(draw, 0).result(SECONDS)
            pool.submit(draw, 1).result(SECONDS)
        assert scripted.connections == before + 1
        draw(0)
        assert scripted.connections == before + 1, "the parent's is still open"


def test_a_forked_process_has_deadlines_of_its_own() -> None:
    """Those of the parent's last call would be over before a long-lived process makes its first."""
    global _generator
    with serving() as scripted, closing(Client(scripted.url, timeout=1, retry_for=0)) as _generator:
        draw(0)
        with ProcessPoolExecutor(1, mp_context=FORK) as pool:
            pool.submit(time.sleep, 1.5).result(SECONDS)
            assert pool.submit(draw, 0).result(SECONDS) == draw(0)


def test_a_file_that_was_replaced_is_refused_after_a_fork(tmp_path: Path) -> None:
    global _generator
    file = tmp_path / "generator.onnx"
    file.write_bytes(find_file("fashion").read_bytes())
    with closing(Engine(file)) as engine, ProcessPoolExecutor(1, mp_context=FORK) as pool:
        _generator = engine
        file.write_bytes(find_file("emoji").read_bytes())
        for _ in range(2):
            with pytest.raises(drawwell.GeneratorFileError, match="has changed since it was opened"):
                pool.submit(draw, 0).result(SECONDS)


def test_an_error_comes_back_from_a_pool() -> None:
    with ProcessPoolExecutor(1, mp_context=FORK) as pool, pytest.raises(DrawwellError, match="x: no such file"):
        pool.submit(drawwell.open, "./x").result(SECONDS)


def test_every_error_can_be_pickled() -> None:
    """One that cannot be unpickled leaves a ``Pool.map`` waiting for ever."""
    every = set(errors())
    assert {"UnavailableError", "WriteError", "ApiError"} <= {kind.__name__ for kind in every}
    for kind in every:
        error = kind(*ARGUMENTS.get(kind.__name__, ("a sentence",)))
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))


def errors() -> Iterator[type[Exception]]:
    """All exceptions that are defined in our packages; modules that define none are not imported."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            names = re.findall(r"^class (\w+Error)\(", file.read_text(), re.MULTILINE)
            if names:
                module = importlib.import_module(
                    ".".join(file.relative_to((ROOT / folder).parent).with_suffix("").parts)
                )
                kinds = [getattr(module, name) for name in names]
                yield from (kind for kind in kinds if issubclass(kind, Exception))
