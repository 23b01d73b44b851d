"""The supervisor and its workers: what they need, what they say, and how they begin again."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from drawwell.errors import DrawwellError
from drawwell.opening import find_file
from drawwell_serve.main import ServeConfig
from drawwell_serve.main import main as serve
from drawwell_serve.processes import listener
from drawwell_serve.processes.shared_memory import SharedMemory
from drawwell_serve.processes.shared_metrics import SharedMetrics
from drawwell_serve.processes.snapshot import Snapshot
from drawwell_serve.settings import Settings, unknown_variables
from tests.conftest import (
    ROOT,
    START_SECONDS,
    Server,
    StartServer,
    drawwell,
    free_port,
    server_environment,
    wait_until_ready,
)
from tests.serve.processes.refusal import refused
from tests.torture.metrics import total

with warnings.catch_warnings(action="ignore"):  # BentoML's own, of pydantic and pathspec
    from drawwell_serve.bentoml_compat.worker_command import WorkerCommand
    from drawwell_serve.processes import supervisor, worker_pool
    from drawwell_serve.processes.supervisor import Supervisor
    from drawwell_serve.processes.worker_pool import ServerContext


@contextmanager
def started(command: list[str], folder: Path, **variables: str) -> Iterator[Server]:
    """A server with the URL ``http://127.0.0.1:PORT``, where PORT is that of the command or of a variable."""
    port = free_port()
    command = [word.replace("PORT", str(port)) for word in command]
    environment = server_environment(folder) | {
        name: value.replace("PORT", str(port)) for name, value in variables.items()
    }
    log = folder / "log"
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream) as process,
    ):
        try:
            yield Server(f"http://127.0.0.1:{port}", process, log)
        finally:
            process.terminate()


BENTOML_SERVE = [sys.executable, "-m", "bentoml", "serve"]
DRAWWELL_SERVE = [sys.executable, "-m", "drawwell", "serve"]


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        ([*BENTOML_SERVE, "--host", "localhost", "--port", "PORT"], {}),
        (BENTOML_SERVE, {"PORT": "PORT", "DRAWWELL_HOST": "localhost", "DRAWWELL_LOG_FORMAT": "text"}),
        (DRAWWELL_SERVE, {"PORT": "1", "DRAWWELL_PORT": "PORT"}),
    ],
    ids=["options", "PORT", "DRAWWELL_PORT"],
)
def test_host_and_port_by_name_and_by_variable(command: list[str], variables: dict[str, str], tmp_path: Path) -> None:
    with started(command, tmp_path, DRAWWELL_WORKER="2", **variables) as server:
        wait_until_ready(server)
        assert httpx.post(f"{server.url}/generate", json={"seed": 7, "labels": 3}).is_success
        server.process.terminate()
        assert server.process.wait(START_SECONDS) == 0
    lines = server.log.read_text().splitlines()
    (warning,) = [line for line in lines if "DRAWWELL_WORKER " in line]
    assert "DRAWWELL_WORKER is not a setting and has no effect; did you mean DRAWWELL_WORKERS?" in warning
    if variables.get("DRAWWELL_LOG_FORMAT") == "text":
        (line,) = [line for line in lines if "/generate" in line]
        assert " method=POST path=/generate status=200 " in line and " seed=7 " in line and " labels=3 " in line
        assert not any(line.startswith("{") for line in lines)
    else:
        assert all(set(json.loads(line)) >= {"time"} for line in lines)


def test_a_port_that_kubernetes_sets_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWWELL_PORT", "tcp://10.0.0.1:3000")
    with pytest.raises(DrawwellError, match="enableServiceLinks: false"):
        Settings()
    monkeypatch.setenv("DRAWWELL_PORT", "")
    monkeypatch.setenv("PORT", "70000")
    with pytest.raises(DrawwellError, match="must be from 1 to 65535, not 70000"):
        Settings()


def test_a_variable_that_is_no_setting_is_named_with_the_nearest() -> None:
    names = {"DRAWWELL_MAXCOUNT": "DRAWWELL_MAX_COUNT", "DRAWWELL_KEYFILE": "DRAWWELL_KEY_FILE"}
    sentences = unknown_variables([*names, "DRAWWELL_KEY", "DRAWWELL_PORT", "PATH"])
    assert len(sentences) == 2
    for sentence, (name, nearest) in zip(sentences, sorted(names.items()), strict=True):
        assert sentence.startswith(f"{name} is not a setting") and sentence.endswith(f" {nearest}?")


def test_a_taken_port_is_a_sentence_of_bentoml_serve_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(tmp_path, "--port", str(port))
    assert (
        f"drawwell: cannot listen on 127.0.0.1:{port}: another program listens there: stop it, or choose another port"
        in said
    )


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_the_host_of_all_addresses_takes_both_kinds() -> None:
    port = free_port()
    with listener.listen("::", port):
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port), 10).close()


def test_reloading_by_file_is_refused(tmp_path: Path) -> None:
    assert "drawwell: --reload is not supported: send SIGHUP" in refused(tmp_path, "--reload")


@pytest.mark.parametrize(
    ("option", "reason"),
    [("--port", "must be from 1 to 65535, not 0"), ("--host", "the host (--host or DRAWWELL_HOST) is empty")],
)
def test_a_host_or_port_that_is_none_is_a_sentence_of_both_commands(option: str, reason: str, tmp_path: Path) -> None:
    value = "0" if option == "--port" else ""
    assert reason in refused(tmp_path, option, value)
    assert reason in drawwell("serve", option, value, code=1).stderr


def test_a_key_from_a_pipe_is_a_sentence(tmp_path: Path) -> None:
    """As of `--key-file <(pass show key)`: it could be read once only."""
    done = subprocess.run(
        [*DRAWWELL_SERVE, "--port", str(free_port()), "--key-file", "/dev/stdin"],
        cwd=ROOT,
        env=server_environment(tmp_path),
        input="a-key-from-a-pipe",
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr + done.stdout
    assert "drawwell: /dev/stdin: is no regular file, and the server reads the key several times" in done.stderr


def test_paths_are_absolute_before_the_folder_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And links stay links, which SIGHUP follows again."""
    environments = list[dict[str, str]]()
    monkeypatch.setattr(os, "execve", lambda _, __, environment: environments.append(environment))
    monkeypatch.chdir(tmp_path)  # it is put back at the end
    monkeypatch.setenv("BENTOML_HOME", "home")
    monkeypatch.setenv("BENTOML_CONFIG", "bentoml.yaml")
    Path("generator").symlink_to(find_file("fashion"))
    Path("key").symlink_to("another")
    serve(ServeConfig(generator="./generator", key_file="key", port=free_port()))
    (environment,) = environments
    names = {"BENTOML_HOME": "home", "BENTOML_CONFIG": "bentoml.yaml"}
    names |= {"DRAWWELL_GENERATOR": "generator", "DRAWWELL_KEY_FILE": "key"}
    assert {name: environment[name] for name in names} == {name: f"{tmp_path}/{path}" for name, path in names.items()}


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "file" / "home"))
    said = drawwell("serve", "--port", str(free_port()), code=1).stderr
    assert said == (
        f"drawwell serve: BentoML's folder {tmp_path}/file/home cannot be made (Not a directory): "
        "set BENTOML_HOME to a folder that can be written to\n"
    )


SITE = """
import os, socket, sys

if "_bentoml_impl.worker.service" in sys.orig_argv and os.path.exists(os.environ.get("FAIL", "")):
    with open(os.environ["FAIL"], "a") as starts:
        print(os.getpid(), file=starts)
    os._exit(3)

find = socket.getaddrinfo


def look_up(host, *rest, **more):
    with open(os.environ["HOSTS"], "a") as hosts:
        print(host, file=hosts)
    return find(host, *rest, **more)


socket.getaddrinfo = look_up
"""


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    """Variables by which every Python process notes the hosts that it looks up, and workers die at their start if the file FAIL exists."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    path = f"{tmp_path / 'site'}:{os.environ.get('PYTHONPATH', '')}"
    return {"PYTHONPATH": path, "HOSTS": str(tmp_path / "hosts")}


def test_no_host_is_looked_up_but_the_one_to_listen_to(tmp_path: Path, site: dict[str, str]) -> None:
    variables = site | {"BENTOML_DO_NOT_TRACK": ""}
    with started([*BENTOML_SERVE, "--port", "PORT"], tmp_path, **variables) as server:
        wait_until_ready(server)
        httpx.post(f"{server.url}/generate", json={})
        server.process.terminate()
        assert server.process.wait(START_SECONDS) == 0
    assert set((tmp_path / "hosts").read_text().split()) == {"127.0.0.1"}


def test_workers_that_cannot_start_are_not_started_without_a_pause(tmp_path: Path, site: dict[str, str]) -> None:
    """Three times, with pauses of one and two seconds; then the start has failed."""
    begin = time.monotonic()
    (tmp_path / "starts").touch()
    with started([*BENTOML_SERVE, "--port", "PORT"], tmp_path, FAIL=str(tmp_path / "starts"), **site) as server:
        assert server.process.wait(START_SECONDS) == 1
    assert len((tmp_path / "starts").read_text().split()) == 3
    assert time.monotonic() - begin > 3
    said = server.log.read_text()
    assert "ended with exit code 3; another takes its place" in said
    assert "worker 1 cannot start: it failed 3 times" in said


def test_new_workers_that_do_not_get_ready_leave_the_old_ones_in_place(
    start_server: StartServer, tmp_path: Path, site: dict[str, str]
) -> None:
    starts = tmp_path / "starts"
    server = start_server("fashion", FAIL=str(starts), **site)
    workers = psutil.Process(server.process.pid).children()
    for process in (*workers, psutil.Process(server.process.pid)):  # as one who sends it to all
        starts.touch()
        process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: "SIGHUP: nothing is changed: the new workers did not get ready" in server.log.read_text())
    assert len(starts.read_text().split()) == 3
    assert httpx.post(f"{server.url}/generate", json={}).is_success
    assert psutil.Process(server.process.pid).children() == workers
    before = served(server)
    starts.unlink()
    server.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: "SIGHUP: serving" in server.log.read_text())
    assert wait_for(lambda: not workers[0].is_running())
    assert wait_for(lambda: total(server, "drawwell_workers") == 1), "the new one's gauge outlives the old one"
    assert served(server) == before
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)  # the end is asked for in the middle of it
    server.process.terminate()
    assert server.process.wait(20) == 0, "the old and the new workers end side by side"


def served(server: Server) -> float:
    return total(server, "bentoml_service_request_total", endpoint="/generate")


def test_a_closed_standard_output_is_a_sentence(tmp_path: Path) -> None:
    command = f"exec '{sys.executable}' -m bentoml serve --port {free_port()} >&-"
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=server_environment(tmp_path), stderr=subprocess.PIPE, timeout=START_SECONDS
    )
    assert (done.returncode, done.stderr) == (
        1,
        b"drawwell: standard output is closed: send it to a file or to /dev/null\n",
    )


def test_a_key_file_that_changes_counts_from_sighup_on(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first-key-of-this-server")
    server = start_server("fashion", DRAWWELL_KEY_FILE=str(file))
    file.write_text("second-key-of-this-server")
    (worker,) = psutil.Process(server.process.pid).children()
    worker.kill()
    assert wait_for(lambda: status(server, "first-key-of-this-server") == 200)
    assert status(server, "second-key-of-this-server") == 401
    server.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: status(server, "second-key-of-this-server") == 200)
    assert wait_for(lambda: status(server, "first-key-of-this-server") == 401)


def test_a_key_file_is_followed_and_a_pipe_in_its_place_holds_up_nothing(tmp_path: Path) -> None:
    """Kubernetes and administrators exchange a link to the file. A pipe keeps who opens it waiting for its writer."""
    for name in ("first", "second"):
        (tmp_path / name).write_text(f"{name}-key-of-this-server")
    key = tmp_path / "key"
    key.symlink_to("first")
    with started([*DRAWWELL_SERVE, "--port", "PORT", "--key-file", str(key)], tmp_path) as server:
        wait_until_ready(server)
        key.unlink()
        key.symlink_to("second")
        server.process.send_signal(signal.SIGHUP)
        assert wait_for(lambda: status(server, "second-key-of-this-server") == 200)
        key.unlink()
        os.mkfifo(key)
        server.process.send_signal(signal.SIGHUP)
        assert wait_for(lambda: f"SIGHUP: nothing is changed: {key}: is no regular file" in server.log.read_text())
        assert status(server, "second-key-of-this-server") == 200
        server.process.terminate()
        assert server.process.wait(START_SECONDS) == 0


WORKER = """
import os, signal, sys

_, _, _, slot, ready = map(int, os.environ["_DRAWWELL_WORKER"].split(","))
os.write(ready, b"x")
os.close(ready)
signal.pause()
"""


class WorkersOf(WorkerCommand):
    """Workers that run a script in place of the service."""

    def line(self, number: int, listener: int) -> list[str]:  # noqa: ARG002 - a method of another
        return [sys.executable, "-S", "-c", self.bento]


@contextmanager
def context_of(script: str) -> Iterator[tuple[ServerContext, Snapshot]]:
    content = SharedMemory("generator", 1)
    with listener.listen("127.0.0.1", free_port()) as listening:
        context = ServerContext(Settings(drain_seconds=5), WorkersOf(script, "/", ()), listening, SharedMetrics(2))
        yield context, Snapshot("name", "digest", "cpu", content, None)


STOPPED = """
import logging, os, sys, threading
from drawwell_serve.bentoml_compat.worker_command import WorkerCommand
from drawwell_serve.processes import supervisor

def take_snapshot(settings):
    threading.Thread(target=threading.Event().wait).start()  # as the threads of ONNX Runtime, which Python does not know
    logging.getLogger("drawwell").info("it begins")
    os.kill(os.getpid(), int(sys.argv[1]))
    threading.Event().wait()

supervisor.take_snapshot = take_snapshot
supervisor.serve({}, WorkerCommand("service", ".", ()), None)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_start(number: signal.Signals, tmp_path: Path) -> None:
    """At once, whatever the threads of that time do, and the log is whole."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, str(int(number))],
        env=server_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["message"] == "it begins"


HANGING = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"


def test_a_worker_that_hangs_before_it_is_ready_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a SIGHUP would wait for it for ever, and every later one with it."""
    monkeypatch.setattr(worker_pool, "_READY_SECONDS", 0.5)

    async def start(context: ServerContext, snapshot: Snapshot) -> None:
        workers = worker_pool.WorkerPool(context, snapshot)
        await asyncio.wait_for(workers.hopeless.wait(), START_SECONDS)
        await workers.stop()

    others = set(psutil.Process().children())
    with context_of(HANGING) as (context, snapshot):
        asyncio.run(start(context, snapshot))
    assert len(re.findall(r"worker 1 \(process \d+\) was not ready after 0.5 s and is killed", caplog.text)) >= 3
    assert "worker 1 cannot start: it failed 3 times" in caplog.text
    assert set(psutil.Process().children()) <= others


def test_a_file_that_cannot_be_read_to_its_end_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, going_on = threading.Event(), threading.Event()

    def never_take(_: Settings) -> Snapshot:
        reading.set()
        going_on.wait()
        raise DrawwellError("it has ended")

    async def serve_on(serving_on: Supervisor, snapshot: Snapshot) -> int:
        serving = asyncio.create_task(serving_on.run(snapshot))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGHUP)
        while not reading.is_set():
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        return await serving

    monkeypatch.setattr(supervisor, "take_snapshot", never_take)
    ended = threading.Timer(START_SECONDS, going_on.set)
    ended.start()
    with context_of(WORKER) as (context, snapshot):
        assert asyncio.run(serve_on(Supervisor(context), snapshot)) == 0
    assert not going_on.is_set()
    ended.cancel()
    going_on.set()


def status(server: Server, key: str) -> int | None:
    try:
        return httpx.get(f"{server.url}/model", headers={"Authorization": f"Bearer {key}"}).status_code
    except httpx.TransportError:  # the killed worker's
        return None


def wait_for(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while not (so := is_so()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return so


def test_without_a_descriptor_to_spare_every_route_answers(start_server: StartServer) -> None:
    """Connections may take all descriptors: no route needs one, for a module that is imported late or for anything else."""
    server = start_server("fashion")
    (worker,) = psutil.Process(server.process.pid).children()
    with httpx.Client(base_url=server.url, timeout=60) as http:
        digest = http.get("/model").json()["digest"]
        worker.rlimit(psutil.RLIMIT_NOFILE, (3, 3))  # the lowest numbers, which are taken
        paths = ["/", "/docs.json", "/metrics", "/readyz", f"/images/{digest}/7/5.png", f"/shards/{digest}/7/0-9.tar"]
        for path in paths:
            assert http.get(path).status_code == 200, path
        for accept in ("application/json", "image/png", "application/x-npy", "application/zip", "application/x-tar"):
            reply = http.post("/generate", json={"count": 2}, headers={"Accept": accept})
            assert reply.status_code == 200, accept
        server.process.terminate()
        assert server.process.wait(START_SECONDS) == 0
    assert "Traceback" not in server.log.read_text() and "is killed" not in server.log.read_text()


LAZY = """
import asyncio, sys
import httpx
from drawwell_serve.http.app import create_app
from drawwell_serve.http.formats import FORMATS
from drawwell_serve.settings import Settings
from drawwell_serve.drawing.image_service import ImageService

app = create_app()
app.state.service = ImageService(Settings(threads=1))
digest = app.state.service.engine.digest


async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:3000") as http:
        await http.post("/livez", json={})
        before = set(sys.modules)
        for path in ("/", "/model", "/docs.json", "/metrics", "/readyz", "/nowhere", f"/images/{digest}/7/5.png"):
            await http.get(path)
        await http.get(f"/shards/{digest}/7/0-9.tar")
        for accept in FORMATS:
            await http.post("/generate", json={"count": 3}, headers={"Accept": accept})
        await http.post("/generate", content=b"x")
        print(*(set(sys.modules) - before))


asyncio.run(ask())
app.state.service.close()
"""


def test_no_request_imports_a_module() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
