"""What every reply carries, and the line that the log has of it."""

import json
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from drawwell_serve.errors import SECURITY_HEADERS
from tests.conftest import ROOT, Server

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SEED = 4_815_162_342


def unread(server: Server, sent: bytes) -> httpx.Response:
    """What comes back for bytes that are no request."""
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as raw:
        raw.sendall(sent)
        came = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, body = came.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return httpx.Response(int(status.split()[1]), headers=[pair(line) for line in lines], content=body)


def pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value


REPLIES: dict[str, Callable[[Server, str], httpx.Response]] = {
    "the page": lambda server, _: httpx.get(server.url),
    "a model": lambda server, _: httpx.get(f"{server.url}/model"),
    "images": lambda server, _: httpx.post(f"{server.url}/generate", json={"count": 2}),
    "an image": lambda server, digest: httpx.get(f"{server.url}/images/{digest}/7/5.png"),
    "a 304": lambda server, digest: httpx.get(f"{server.url}/images/{digest}/7/5.png", headers={"If-None-Match": "*"}),
    "a shard": lambda server, digest: httpx.get(f"{server.url}/shards/{digest}/7/0-9.tar"),
    "a head": lambda server, digest: httpx.head(f"{server.url}/shards/{digest}/7/0-9.tar"),
    "a probe": lambda server, _: httpx.get(f"{server.url}/readyz"),
    "no such address": lambda server, _: httpx.get(f"{server.url}/images/{'0' * 64}/7/5.png"),
    "no such route": lambda server, _: httpx.get(f"{server.url}/nowhere"),
    "no path": lambda server, _: unread(server, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    "a path of two lines": lambda server, _: httpx.get(f"{server.url}/%0Ax"),
    "an upgrade": lambda server, _: httpx.get(f"{server.url}/model", headers=UPGRADE),
    "a wrong method": lambda server, _: httpx.get(f"{server.url}/generate"),
    "a wrong body": lambda server, _: httpx.post(f"{server.url}/generate", json={"count": "/etc"}),
    "a large body": lambda server, _: httpx.post(
        f"{server.url}/generate", content=b" " * 3 * 2**20, headers={"Content-Type": "application/json"}
    ),
    "no http": lambda server, _: unread(server, b"\x16\x03\x01 hello\r\n\r\n"),
    "a large head": lambda server, _: unread(server, b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000),
}


@pytest.mark.parametrize("kind", REPLIES)
def test_every_reply_has_security_headers_and_tells_nothing_of_the_machine(
    server: Server, tiny_generator: Path, kind: str
) -> None:
    digest = httpx.get(f"{server.url}/model").json()["digest"]
    answer = REPLIES[kind](server, digest)
    for name, value in SECURITY_HEADERS:
        assert answer.headers.get_list(name.decode()) == [value.decode()], name
    assert "Server" not in answer.headers
    told = f"{answer.headers}{answer.content!r}"
    for word in (str(ROOT), str(tiny_generator.parent), "site-packages", "Traceback", "uvicorn", "starlette"):
        assert word not in told
    if answer.is_error:
        assert set(answer.json()) == {"error"}


def logged(server: Server, seed: int, wanted: int) -> list[dict[str, Any]]:
    """The lines of the requests for images of this seed; each comes after its reply."""
    deadline = time.monotonic() + 10
    while True:
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if f'"seed":{seed}' in line]
        if len(lines) >= wanted or time.monotonic() > deadline:
            return lines
        time.sleep(0.05)


def test_each_request_is_one_line_of_json(server: Server) -> None:
    with httpx.Client(base_url=server.url) as http:
        answers = [http.post("/generate", json={"seed": SEED, "start": start, "count": 2}) for start in range(5)]
    lines = logged(server, SEED, 5)
    assert [line["start"] for line in lines] == list(range(5))
    for line, answer in zip(lines, answers, strict=True):
        assert line | {"time": "", "seconds": 0} == {
            "time": "",
            "client": "127.0.0.1",
            "method": "POST",
            "path": "/generate",
            "status": 200,
            "seconds": 0,
            "bytes": len(answer.content),
            "whole": True,
            "seed": SEED,
            "start": line["start"],
            "count": 2,
            "digest": answer.headers["X-Drawwell-Digest"],
        }
        assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0) and line["seconds"] > 0


def test_a_refused_request_is_a_line_too(server: Server) -> None:
    httpx.get(f"{server.url}/refused/once")
    httpx.post(f"{server.url}/generate", json={"seed": SEED + 1})
    logged(server, SEED + 1, 1)
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if "/refused/once" in line]
    assert [line["status"] for line in lines] == [404]


def test_what_is_no_request_is_one_warning(server: Server) -> None:
    before = server.log.read_text()
    unread(server, b"rubbish\r\n\r\n")
    httpx.get(f"{server.url}/livez", headers=UPGRADE)
    httpx.post(f"{server.url}/generate", json={"seed": SEED + 2})
    logged(server, SEED + 2, 1)
    said = server.log.read_text().removeprefix(before)
    warnings = [json.loads(line) for line in said.splitlines() if "WARNING" in line]
    assert [line["message"] for line in warnings] == ["Invalid HTTP request received."]
