"""Who gets in."""

import hmac
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import drawwell as library
from drawwell.errors import DrawwellError, RequestError
from drawwell_serve import gate
from drawwell_serve.app import PROBES, create_app
from drawwell_serve.process import take_one_device
from drawwell_serve.settings import Settings
from tests.conftest import ROOT, START_SECONDS, Server, StartServer, drawwell, free_port, server_environment

KEY = "a-key_of.tests~"
BEARER = {"Authorization": f"Bearer {KEY}"}
NUMBERS = {"digest": "0" * 64, "seed": "7", "index": "5", "first": "0", "last": "9", "path:path": "nowhere"}
ROUTES = [re.sub("{(.*?)}", lambda name: NUMBERS[name[1]], route.path) for route in create_app().routes]  # type: ignore[attr-defined]
LOCKED = [path for path in ROUTES if path not in PROBES]
SENTENCE = "0.0.0.0 lets other machines in, and there is no key: give one in DRAWWELL_KEY or a file (--key-file), or allow it with"


@pytest.fixture(scope="module")
def locked(start_server: StartServer, tiny_generator: Path) -> Server:
    """A server with a key, open to the network, that logs no requests."""
    return start_server(tiny_generator, DRAWWELL_KEY=KEY, DRAWWELL_LOG_REQUESTS="0", BENTOML_HOST="0.0.0.0")


@pytest.mark.parametrize("path", LOCKED)
def test_without_the_key_nothing_is_told(locked: Server, path: str) -> None:
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        answer = httpx.request(method, f"{locked.url}{path}")
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert httpx.get(f"{locked.url}{path}").json() == {
        "error": {
            "code": "unauthorized",
            "message": "send the key of this server as Authorization: Bearer KEY (drawwell takes it from DRAWWELL_KEY)",
        }
    }


@pytest.mark.parametrize("path", PROBES)
def test_the_probes_need_no_key(locked: Server, path: str) -> None:
    assert httpx.get(f"{locked.url}{path}").status_code == 200


def test_with_the_key_everything_is_answered(locked: Server) -> None:
    assert {httpx.get(f"{locked.url}{path}", headers=BEARER).status_code for path in LOCKED} == {200, 404, 405}


@pytest.mark.parametrize(
    "sent",
    [
        [f"Bearer {KEY}x"],
        [f"Bearer {KEY[:-1]}"],
        [f"Basic {KEY}"],
        [KEY],
        [""],
        [f"Bearer {KEY}", f"Bearer {KEY}"],
        [f"Bearer {KEY}", "Bearer other"],
    ],
)
def test_nearly_the_key_is_not_the_key(locked: Server, sent: list[str]) -> None:
    headers = [("Authorization", value) for value in sent]
    assert httpx.get(f"{locked.url}/model", headers=headers).status_code == 401


def test_a_body_is_not_waited_for_without_the_key(locked: Server) -> None:
    port = int(locked.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 401 ")


def test_the_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(sent: bytes, wanted: bytes) -> bool:
        compared.append((sent, wanted))
        return hmac_compare(sent, wanted)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    door = gate.Gate(create_app(), create_app(), KEY.encode(), None)
    for sent, passes in ((b"Bearer " + KEY.encode(), True), (b"Bearer wrong", False)):
        assert door._may_pass({"headers": [(b"authorization", sent)]}) is passes
    assert [sent for sent, _ in compared] == [b"Bearer " + KEY.encode(), b"Bearer wrong"]


def test_the_client_sends_the_key(locked: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"send the key of this server as Authorization: Bearer KEY"):
        library.open(locked.url)
    assert "send the key of this server" in drawwell("generate", locked.url, code=1).stderr
    monkeypatch.setenv("DRAWWELL_KEY", KEY)
    client = library.open(locked.url)
    assert len(client.generate(7, 3)) == 3
    client.close()
    drawwell("generate", locked.url, "--seed", "7", "--count", "3", "--out", str(tmp_path / "images.npy"))
    monkeypatch.setenv("DRAWWELL_KEY", "not a key")
    with pytest.raises(RequestError, match="DRAWWELL_KEY: the key must be printable ASCII without spaces"):
        library.open(locked.url)


def test_a_key_comes_from_a_file_or_from_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    monkeypatch.delenv("DRAWWELL_KEY", raising=False)
    assert Settings().key() is None
    assert Settings(key_file=str(file)).key() == KEY.encode()
    monkeypatch.setenv("DRAWWELL_KEY", "other")
    assert Settings().key() == b"other"
    with pytest.raises(DrawwellError, match="both given"):
        Settings(key_file=str(file)).key()


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", "line\n"])
def test_a_key_that_is_none_is_refused(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWWELL_KEY", key)
    with pytest.raises(DrawwellError, match="printable ASCII without spaces, and not empty"):
        Settings().key()
    monkeypatch.delenv("DRAWWELL_KEY")
    with pytest.raises(DrawwellError, match="cannot be read as a key"):
        Settings(key_file=str(tmp_path / "nowhere")).key()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, SENTENCE),
        ({"DRAWWELL_KEY": ""}, "the key must be printable ASCII without spaces, and not empty"),
        (
            {"DRAWWELL_KEY": KEY, "DRAWWELL_KEY_FILE": "Makefile"},
            "DRAWWELL_KEY and a key file are both given: take one",
        ),
    ],
)
@pytest.mark.parametrize("command", [["bentoml", "serve"], ["drawwell.cli", "serve"]])
def test_it_does_not_start_open_to_all(
    command: list[str], variables: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", *command, "--host", "0.0.0.0", "--port", str(free_port())]
    environment = server_environment(tmp_path) | variables
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    assert done.returncode == 1
    said = done.stderr.strip()
    assert said.startswith(f"drawwell: {sentence}") and "\n" not in said


def test_other_machines_are_let_in_with_a_key_or_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRAWWELL_KEY", raising=False)
    for host in ("127.0.0.1", "127.0.0.2", "::1"):
        Settings().check_exposure(host)
    for host in ("0.0.0.0", "::", "192.0.2.7"):
        with pytest.raises(DrawwellError, match="lets other machines in"):
            Settings().check_exposure(host)
        Settings(insecure_bind=True).check_exposure(host)
    monkeypatch.setenv("DRAWWELL_KEY", KEY)
    Settings().check_exposure("0.0.0.0")


def test_it_starts_without_a_key_when_told(start_server: StartServer, tiny_generator: Path) -> None:
    server = start_server(tiny_generator, BENTOML_HOST="0.0.0.0", DRAWWELL_INSECURE_BIND="1")
    assert httpx.get(f"{server.url}/model").is_success


def test_the_log_of_requests_can_be_turned_off_and_never_holds_the_key(locked: Server) -> None:
    httpx.get(f"{locked.url}/logged", headers=BEARER)
    assert "logged" not in locked.log.read_text()
    assert KEY not in locked.log.read_text()
    assert "/model" not in locked.log.read_text()


@pytest.mark.parametrize(
    ("visible", "worker", "left"),
    [("3,5", 1, "3"), ("3,5", 2, "5"), ("3,5", 3, "3"), ("GPU-1f", 2, "GPU-1f"), ("", 1, "")],
)
def test_a_worker_takes_one_of_the_visible_devices(
    monkeypatch: pytest.MonkeyPatch, visible: str, worker: int, left: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    take_one_device(worker)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == left
