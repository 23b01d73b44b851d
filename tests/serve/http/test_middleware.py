"""Who gets in."""

import asyncio
import hmac
import json
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import drawwell as library
from drawwell.errors import DrawwellError, RequestError
from drawwell_serve.errors import ApiError
from drawwell_serve.http import keys, middleware
from drawwell_serve.http.app import PROBES, create_app
from drawwell_serve.http.keys import GUESSES_A_SECOND
from drawwell_serve.http.page_files import VERSION
from drawwell_serve.processes.worker import take_one_device
from drawwell_serve.settings import Settings
from tests.conftest import ROOT, START_SECONDS, Server, StartServer, drawwell, free_port, server_environment
from tests.raw import exchange

KEY = "a-key_of.tests~"
BEARER = {"Authorization": f"Bearer {KEY}"}
NUMBERS = {"digest": "0" * 64, "seed": "7", "index": "5", "first": "0", "last": "9", "path:path": "nowhere"}
NUMBERS |= {"version": VERSION, "file": "main.js"}
ROUTES = [re.sub("{(.*?)}", lambda name: NUMBERS[name[1]], route.path) for route in create_app().routes]  # type: ignore[attr-defined]
OPEN = {*PROBES, f"/page/{VERSION}/main.js"}
LOCKED = [path for path in ROUTES if path not in OPEN]
SENTENCE = (
    "other machines can reach 0.0.0.0, and there is no key: set a key in DRAWWELL_KEY or a file (--key-file), or allow"
)


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
            "message": "send the key of this server as Authorization: Bearer KEY (the drawwell client reads it from DRAWWELL_KEY)",
        }
    }


@pytest.mark.parametrize("path", sorted(OPEN))
def test_the_probes_and_the_files_of_the_page_need_no_key(locked: Server, path: str) -> None:
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
        raw.sendall(b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 401 ")


def test_a_wrong_key_is_told_from_a_missing_one(locked: Server) -> None:
    wrong = httpx.get(f"{locked.url}/model", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    assert wrong.json()["error"]["code"] == "wrong_key"
    assert wrong.json()["error"]["message"].startswith("the key is wrong: send the key of this server as")
    bare = httpx.get(f"{locked.url}/model", headers={"Authorization": "a-key-without-its-scheme"})
    assert bare.json()["error"]["message"].startswith("the word Bearer is missing before the key: send the key")


def test_a_person_with_a_browser_is_asked_for_the_key(locked: Server) -> None:
    page = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
    form = httpx.get(locked.url, headers=page)
    assert (form.status_code, form.headers["WWW-Authenticate"]) == (401, "Bearer"), "the form asks, not the browser"
    assert form.headers["content-type"].startswith("text/html")
    assert 'id="key-form"' in form.text
    wrong = httpx.get(locked.url, headers=page | {"Authorization": "Bearer wrong"})
    assert (wrong.status_code, wrong.text) == (401, form.text)
    asked = httpx.get(f"{locked.url}/model", headers=page)
    assert (asked.status_code, asked.headers["WWW-Authenticate"]) == (401, 'Basic realm="drawwell", charset="UTF-8"')
    assert "enter any user name, and the key as the password" in asked.text
    assert httpx.get(locked.url, headers=page, auth=("anybody", KEY)).is_success
    assert httpx.get(locked.url, headers=page, auth=(KEY, "")).status_code == 401
    link = page | {"Sec-Fetch-Site": "cross-site"}
    assert httpx.get(locked.url, headers=link, auth=("", KEY)).is_success, "a link on another page is its reader's wish"
    frame = link | {"Sec-Fetch-Dest": "iframe"}
    assert httpx.get(locked.url, headers=frame, auth=("", KEY)).status_code == 401
    fetched = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert httpx.get(f"{locked.url}/model", headers=fetched, auth=("", KEY)).status_code == 401
    assert httpx.get(f"{locked.url}/model", headers=fetched | BEARER).is_success


def test_the_key_is_not_in_a_trailer(locked: Server) -> None:
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    body = b"Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n2\r\n{}\r\n0\r\n"
    (reply,) = exchange(locked, head + body + f"Authorization: Bearer {KEY}\r\n\r\n".encode())
    assert reply.status == 401


def test_guesses_take_their_time_and_keep_nobody_waiting(locked: Server) -> None:
    """Forty guesses on as many connections: ten a second are answered, and the right key at once."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(40) as pool:
        guesses = [
            pool.submit(httpx.get, f"{locked.url}/model", headers={"Authorization": f"Bearer guess-{n}"}, timeout=60)
            for n in range(40)
        ]
        time.sleep(0.5)
        assert httpx.get(f"{locked.url}/model", headers=BEARER).is_success
        assert httpx.get(f"{locked.url}/model").status_code == 401
        under_way = sum(not one.done() for one in guesses)
        assert {one.result().status_code for one in guesses} == {401}
    assert time.perf_counter() - begin > 0.9 * 39 / GUESSES_A_SECOND
    assert under_way > 0


def test_a_bounded_number_of_wrong_keys_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further one is refused at once, on a connection that ends; the right key passes."""
    monkeypatch.setattr(keys, "_MOST_SECONDS", 1)
    check = keys.KeyCheck(KEY.encode())

    async def guess(number: int) -> ApiError:
        with pytest.raises(ApiError) as refused:
            await check.refuse([(b"authorization", b"Bearer guess-%d" % number)], is_page=False)
        return refused.value

    async def guesses() -> list[ApiError]:
        return list(await asyncio.gather(*map(guess, range(100))))

    refused = asyncio.run(guesses())
    most = 2 * keys.GUESSES_A_SECOND
    assert [one.status for one in refused[: keys.GUESSES_A_SECOND]] == [401] * keys.GUESSES_A_SECOND
    assert {(one.status, one.code) for one in refused[most:]} == {(429, "too_many_wrong_keys")}
    assert refused[-1].headers == {"Retry-After": "1", "Connection": "close"}
    assert check.accepts([(b"authorization", f"Bearer {KEY}".encode())])


def test_the_log_names_a_client_by_an_address_only(start_server: StartServer, tiny_generator: Path) -> None:
    """Whatever a client says in X-Forwarded-For: it may be long, and it may look like another's."""
    server = start_server(tiny_generator)
    said = ["192.0.2.7", "2001:db8::7", "x" * 9000, "192.0.2.7 status=200", "fe80::1%" + "z" * 999]
    for number, one in enumerate(said):
        httpx.get(f"{server.url}/model?{number}", headers={"X-Forwarded-For": one})
    deadline = time.monotonic() + 30
    while (log := server.log.read_text()).count('"/model"') < len(said):
        assert time.monotonic() < deadline, log
        time.sleep(0.05)
    clients = [json.loads(line)["client"] for line in log.splitlines() if '"/model"' in line]
    assert clients == ["192.0.2.7", "2001:db8::7", "127.0.0.1", "127.0.0.1", "127.0.0.1"]


def test_what_is_refused_is_counted_by_its_code(locked: Server) -> None:
    wanted = {"unauthorized", "wrong_key", "not_found", "method_not_allowed", "target_too_long", "no_such_address"}

    def counted() -> dict[str, float]:
        text = httpx.get(f"{locked.url}/metrics", headers=BEARER).text
        return {
            code: float(n)
            for code, n in re.findall(r'^drawwell_refused_total{reason="(\w+)"} (\S+)$', text, re.MULTILINE)
        }

    before = counted()
    httpx.get(f"{locked.url}/model")
    httpx.get(f"{locked.url}/model", headers={"Authorization": "Bearer wrong-key"})
    for path in ("nowhere", "generate", "images/x", "a" * 9000):
        assert httpx.get(f"{locked.url}/{path}", headers=BEARER).is_client_error
    assert {code for code, n in counted().items() if n > before.get(code, 0)} == wanted


def test_the_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(sent: bytes, wanted: bytes) -> bool:
        compared.append((sent, wanted))
        return hmac_compare(sent, wanted)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    door = middleware.Middleware(create_app(), create_app(), KEY.encode(), None)
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
    monkeypatch.setenv("DRAWWELL_KEY", "another-key")
    assert Settings().key() == b"another-key"
    with pytest.raises(DrawwellError, match="both given"):
        Settings(key_file=str(file)).key()


@pytest.mark.parametrize("key", ["a", "secret", "1234567"])
def test_a_key_that_can_be_guessed_is_refused(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(f"{key}\n")
    monkeypatch.setenv("DRAWWELL_KEY", key)
    with pytest.raises(
        DrawwellError, match=f"the key has {len(key)} characters and can be guessed: choose a key of 8 or more"
    ):
        Settings().key()
    monkeypatch.delenv("DRAWWELL_KEY")
    with pytest.raises(DrawwellError, match="can be guessed"):
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
            "DRAWWELL_KEY and a key file (--key-file or DRAWWELL_KEY_FILE) are both given",
        ),
    ],
)
@pytest.mark.parametrize("command", [["bentoml", "serve"], ["drawwell", "serve"]])
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
        with pytest.raises(DrawwellError, match="other machines can reach"):
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
