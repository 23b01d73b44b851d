"""Starting, and refusing to."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import drawwell as library
from drawwell_serve.main import ServeConfig
from drawwell_serve.main import main as serve
from tests.conftest import (
    Server,
    StartServer,
    drawwell,
    free_port,
    server_environment,
    wait_until_ready,
)
from tests.serve.processes.refusal import refused


def test_a_missing_generator_ends_the_start_with_one_line(tmp_path: Path) -> None:
    said = refused(tmp_path, DRAWWELL_GENERATOR="/nowhere/x.onnx").strip()
    assert said == "drawwell: /nowhere/x.onnx: no such file"


def test_a_broken_generator_ends_the_start_with_one_line(tmp_path: Path, tiny_generator: Path) -> None:
    broken = tmp_path / "broken.onnx"
    content = bytearray(tiny_generator.read_bytes())
    content[1000] ^= 1
    broken.write_bytes(content)
    said = refused(tmp_path, DRAWWELL_GENERATOR=str(broken)).strip()
    assert said == f"drawwell: {broken}: is damaged: its bytes are not those that were sealed"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DRAWWELL_PROVIDER", "gpu", "--provider (DRAWWELL_PROVIDER) must be one of auto, cuda, cpu, not 'gpu'"),
        ("DRAWWELL_THREADS", "0", "--threads (DRAWWELL_THREADS) must be above 0, not 0"),
        (
            "DRAWWELL_STALL_SECONDS",
            "inf",
            "--stall-seconds (DRAWWELL_STALL_SECONDS) must be above 0 and finite, not inf",
        ),
        ("DRAWWELL_LOG_REQUESTS", "yes", "DRAWWELL_LOG_REQUESTS must be 0 or 1, not 'yes'"),
        ("DRAWWELL_MAX_COUNT", "many", "DRAWWELL_MAX_COUNT must be an integer, not 'many'"),
    ],
)
def test_a_setting_that_makes_no_sense_ends_the_start(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    assert sentence in refused(tmp_path, **{name: value})


def test_it_listens_to_this_machine_only(server: Server) -> None:
    port = int(server.url.rpartition(":")[2])
    listening = subprocess.run(
        ["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True, check=False
    ).stdout
    addresses = [
        line.split()[1]
        for line in listening.splitlines()
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    ]
    assert addresses == [f"0100007F:{port:04X}"]


def test_drawwell_serve_is_the_same_server(tmp_path: Path, tiny_generator: Path) -> None:
    """From a folder of the user's, with files whose names must not get in the way."""
    for name in ("serve.py", "train.py", "service.py", "drawwell_serve.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    shutil.copy(tiny_generator, tmp_path / "mine.onnx")
    port, log = free_port(), tmp_path / "log"
    command = [
        str(Path(sys.executable).parent / "drawwell"),
        "serve",
        "mine.onnx",
        "--port",
        str(port),
        "--threads",
        "1",
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=server_environment(tmp_path), stdout=stream, stderr=stream
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_ready(server)
        client = library.open(server.url)
        assert client.digest == library.open(tiny_generator).digest
        client.close()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_most_images_of_one_reply_can_be_set(start_server: StartServer, tiny_generator: Path) -> None:
    server = start_server(tiny_generator, DRAWWELL_MAX_COUNT="10")
    answer = httpx.post(f"{server.url}/generate", json={"count": 11})
    assert answer.status_code == 422
    assert "ask for at most 10, and for the rest" in answer.json()["error"]["message"]
    assert httpx.post(f"{server.url}/generate", json={"count": 10}).is_success
    assert httpx.post(f"{server.url}/generate", json={"indices": [0] * 11}).status_code == 422
    client = library.open(server.url)
    assert len(client.generate(7, 25)) == 25, "the client does not keep to what the server allows"
    client.close()


def test_a_port_that_cannot_be_had_is_a_sentence(tiny_generator: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert (
            f"cannot listen on 127.0.0.1:{port}: "
            in drawwell("serve", str(tiny_generator), "--port", str(port), code=1).stderr
        )
    assert "must be from 1 to 65535" in drawwell("serve", "--port", "99999", code=1).stderr


def test_options_go_over_variables_and_variables_over_defaults(
    monkeypatch: pytest.MonkeyPatch, tiny_generator: Path
) -> None:
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(os, "execve", lambda _, __, environment: seen.append(environment))
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setenv("DRAWWELL_GENERATOR", str(tiny_generator))
    monkeypatch.setenv("DRAWWELL_PROVIDER", "cpu")
    serve(ServeConfig(port=free_port()))
    serve(ServeConfig("fashion", port=free_port(), provider="auto", threads=3))
    assert (seen[0]["DRAWWELL_GENERATOR"], seen[0]["DRAWWELL_PROVIDER"]) == (str(tiny_generator), "cpu")
    assert "DRAWWELL_THREADS" not in seen[0]
    assert (seen[1]["DRAWWELL_PROVIDER"], seen[1]["DRAWWELL_THREADS"]) == ("auto", "3")
    assert seen[1]["DRAWWELL_GENERATOR"].endswith("fashion.onnx")


def test_a_reader_that_does_not_read_does_not_hold_up_the_end(tiny_generator: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [str(Path(sys.executable).parent / "drawwell"), "serve", str(tiny_generator), "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=server_environment(tmp_path), stdout=stream, stderr=stream)
    wait_until_ready(Server(f"http://127.0.0.1:{port}", process, log))
    with socket.create_connection(("127.0.0.1", port)) as lazy:
        body = b'{"count": 1000000}'
        head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/x-npy\r\n"
        lazy.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        lazy.recv(100)
        process.terminate()
        process.wait(60)
