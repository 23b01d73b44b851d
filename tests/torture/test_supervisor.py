"""What becomes of a server whose worker, files, disk or log fail it, and who may command it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from drawwell.engine.engine import Engine
from drawwell.formats.npy import NPY_TYPE
from drawwell.opening import find_file
from drawwell_serve.log import MOST_WAITING_BYTES
from tests.conftest import ROOT, START_SECONDS, Server, StartServer, free_port, server_environment, wait_until_ready

from .load import asked, under_load
from .metrics import total
from .train.faults import small_disk

DRAIN_SECONDS = 5


def test_one_port_listens(server: Server) -> None:
    """A server listens to its HTTP port and to nothing else; only signals command it."""
    listening = [
        (connection.laddr.ip, connection.laddr.port)
        for process in (psutil.Process(server.process.pid), *_workers(server))
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {("127.0.0.1", int(server.url.rpartition(":")[2]))}
    sockets = subprocess.run(["cat", "/proc/net/unix"], capture_output=True, text=True, check=True).stdout
    inodes = {
        Path(link).name.partition("[")[2].rstrip("]")
        for process in (server.process.pid, *(worker.pid for worker in _workers(server)))
        for link in _links(process)
        if link.startswith("socket:")
    }
    accepting = {line.split()[6] for line in sockets.splitlines()[1:] if line.split()[3] == "00010000"}
    assert not inodes & accepting


def test_a_stopped_worker_holds_up_no_end(start_server: StartServer) -> None:
    """A server whose worker hangs ends within DRAWWELL_DRAIN_SECONDS of SIGTERM, and the worker with it."""
    server = start_server("fashion", DRAWWELL_WORKERS="2", DRAWWELL_DRAIN_SECONDS=str(DRAIN_SECONDS))
    _wait_for_workers(server, 2)
    workers = _workers(server)
    workers[0].suspend()
    server.process.terminate()
    assert server.process.wait(DRAIN_SECONDS) == 0
    _, alive = psutil.wait_procs(workers, 0)
    assert not alive
    assert f"(process {workers[0].pid}) did not end in time and is killed" in server.log.read_text()


def test_a_stopped_worker_ends_with_a_killed_supervisor(start_server: StartServer) -> None:
    """Kill 9 of the supervisor ends a stopped worker, too."""
    server = start_server("fashion")
    workers = _workers(server)
    workers[0].suspend()
    server.process.kill()
    server.process.wait()
    _, alive = psutil.wait_procs(workers, 10)
    assert not alive


def test_a_replaced_file_changes_nothing_until_sighup(start_server: StartServer, tmp_path: Path) -> None:
    """A generator file that is replaced while it is served changes no image, whichever worker dies. SIGHUP serves the new file and
    refuses nobody meanwhile; a damaged file changes nothing."""
    path = tmp_path / "generator.onnx"
    shutil.copy(find_file("fashion"), path)
    server = start_server(path, DRAWWELL_WORKERS="2", DRAWWELL_DRAIN_SECONDS=str(DRAIN_SECONDS))
    _wait_for_workers(server, 2)
    first, second = (Engine(find_file(name)) for name in ("fashion", "fashion-int8"))
    shutil.copy(find_file("fashion-int8"), tmp_path / "new")
    (tmp_path / "new").replace(path)
    for worker in _workers(server):
        worker.send_signal(signal.SIGBUS)
        _wait_for_workers(server, 2, worker)
        assert f"(process {worker.pid}) was ended by SIGBUS; another takes its place" in server.log.read_text()
    assert _digests(server, 12) == {first.digest}
    with under_load(server.url, [([asked(first, 7, 8)], keeps) for keeps in (True, False)]) as seen:
        content = bytearray(path.read_bytes())
        content[1000] ^= 1
        path.write_bytes(content)
        server.process.send_signal(signal.SIGHUP)
        _wait_for_words(server, f"SIGHUP: nothing is changed: {path}: is damaged")
        time.sleep(0.5)
    assert set(seen.kinds) == {"whole"} and _digests(server, 12) == {first.digest}
    shutil.copy(find_file("fashion-int8"), path)
    stop, statuses = threading.Event(), list[int]()
    client = threading.Thread(target=_ask_until, args=(server, stop, statuses))
    client.start()
    server.process.send_signal(signal.SIGHUP)
    _wait_for_words(server, f"SIGHUP: serving {second.card.name}")
    assert server.process.poll() is None
    _wait_for_workers(server, 2)
    stop.set()
    client.join()
    assert set(statuses) == {200}
    assert _digests(server, 12) == {second.digest}
    assert total(server, "drawwell_workers") == 2
    assert "Traceback" not in server.log.read_text()
    first.close()
    second.close()


def test_a_log_that_nobody_reads(tmp_path: Path) -> None:
    """A reader of standard output that stalls stops neither replies nor the end: lines are dropped, counted, and said to be missing."""
    with _piped(tmp_path) as server:
        _say_more_than_fits(server)
        dropped = total(server, "drawwell_log_lines_dropped_total")
        assert dropped > 0
        assert server.process.stdout is not None
        for line in server.process.stdout:
            if b"lines of the log are missing here" in line:
                break
        _say_more_than_fits(server)
        assert total(server, "drawwell_log_lines_dropped_total") > dropped
        server.process.terminate()
        assert server.process.wait(DRAIN_SECONDS + 5) == 0


def test_a_full_disk(start_server: StartServer, tmp_path: Path) -> None:
    """A disk of 3 MB that is full: the server starts, draws, and counts; no worker dies."""
    with small_disk(tmp_path / "disk", "3m"):
        home = tmp_path / "disk" / "home"
        home.mkdir()
        with pytest.raises(OSError, match="No space"):
            (tmp_path / "disk" / "others").write_bytes(bytes(2**22))
        server = start_server("fashion", BENTOML_HOME=str(home), TMPDIR=str(tmp_path / "disk"), HOME=str(home))
        (worker,) = _workers(server)
        digest = _digests(server, 1).pop()
        for path in (
            "/",
            "/model",
            "/nowhere",
            "/docs.json",
            f"/images/{digest}/7/5.png",
            f"/shards/{digest}/7/0-9.tar",
        ):
            assert httpx.get(f"{server.url}{path}").status_code == (404 if path == "/nowhere" else 200)
        assert httpx.post(f"{server.url}/generate", json={"count": 0}).is_client_error
        assert total(server, "bentoml_service_request_total", endpoint="/model") == 1
        assert _workers(server) == [worker]
        server.process.terminate()
        assert server.process.wait(START_SECONDS) == 0


def _workers(server: Server) -> list[psutil.Process]:
    return list(psutil.Process(server.process.pid).children())


def _links(process: int) -> Iterator[str]:
    for file in Path(f"/proc/{process}/fd").iterdir():
        try:
            yield str(file.readlink())
        except FileNotFoundError:  # it was closed meanwhile
            continue


def _digests(server: Server, count: int) -> set[str]:
    """Of replies on ``count`` new connections, which any worker may take."""
    headers = {"Accept": NPY_TYPE}
    answers = [httpx.post(f"{server.url}/generate", json={"seed": 7}, headers=headers) for _ in range(count)]
    return {answer.headers["X-Drawwell-Digest"] for answer in answers}


def _ask_until(server: Server, stop: threading.Event, statuses: list[int]) -> None:
    while not stop.is_set():
        statuses.append(httpx.post(f"{server.url}/generate", json={"seed": 7, "count": 8}).status_code)


def _wait_for_workers(server: Server, count: int, gone: psutil.Process | None = None) -> None:
    """Until that many workers serve, and ``gone`` is none of them."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        workers = _workers(server)
        if len(workers) == count and gone not in workers and total(server, "drawwell_workers") == count:
            return
        time.sleep(0.1)
    pytest.fail(f"there are no {count} workers:\n{server.log.read_text()[-2000:]}")


def _wait_for_words(server: Server, words: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while words not in server.log.read_text():
        assert time.monotonic() < deadline, server.log.read_text()[-2000:]
        time.sleep(0.1)


@contextmanager
def _piped(folder: Path) -> Iterator[Server]:
    """A server that writes its log into a pipe."""
    port = free_port()
    command = [sys.executable, "-m", "drawwell", "serve", "--port", str(port)]
    environment = server_environment(folder) | {"DRAWWELL_DRAIN_SECONDS": str(DRAIN_SECONDS)}
    errors = folder / "errors"
    with (
        errors.open("wb") as stream,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=stream) as process,
    ):
        server = Server(f"http://127.0.0.1:{port}", process, errors)
        wait_until_ready(server)
        try:
            yield server
        finally:
            if process.poll() is None:
                process.kill()


def _say_more_than_fits(server: Server) -> None:
    """Requests whose lines are more than the pipe and the server hold."""
    path = "/nowhere/" + "x" * 400
    with httpx.Client(base_url=server.url, timeout=30) as http:
        for _ in range((MOST_WAITING_BYTES + os.sysconf("SC_PAGE_SIZE") * 16) // 400 + 500):
            assert http.get(path).status_code == 404
