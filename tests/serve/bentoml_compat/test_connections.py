"""What a client may do with its connection: send several requests before it reads, end its side, keep it, and leave it unread."""

import asyncio
import contextlib
import io
import json
import socket
import time

import numpy as np
import psutil
import pytest
import uvicorn
from uvicorn.server import ServerState

from drawwell_serve.bentoml_compat.connection import Connection
from drawwell_serve.http.app import create_app
from drawwell_serve.settings import Settings
from tests.conftest import Server, StartServer
from tests.raw import Reply, connect, exchange, replies, request

TYPE = {"Content_Type": "application/json"}
MODEL = b"GET /model HTTP/1.1\r\nHost: localhost\r\n\r\n"
SHORT_BODY = b'{"seed": 7, "count": 3}'


def rest(raw: socket.socket) -> bytes:
    """What comes until the server closes."""
    received = b""
    while came := raw.recv(65536):
        received += came
    return received


def half_closed(server: Server, *sent: bytes) -> list[Reply]:
    """The replies to a client that sends this and then ends its side."""
    with connect(server) as raw:
        for part in sent:
            raw.sendall(part)
        raw.shutdown(socket.SHUT_WR)
        return replies(rest(raw))


def kept(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    return request(method, path, body, **headers).replace(b"Connection: close\r\n", b"")


def test_pipelined_requests_are_answered_in_their_order(server: Server) -> None:
    """Hundreds of them with bodies, all sent before the first reply is read."""
    wanted = [kept("POST", "/generate", b'{"seed": %d}' % n, Accept="application/x-npy", **TYPE) for n in range(300)]
    several = exchange(server, b"".join(wanted) + request("GET", "/livez"), seconds=120)
    assert [reply.status for reply in several] == [200] * 301
    assert [reply.headers["x-drawwell-seed"] for reply in several[:-1]] == [str(n) for n in range(300)]
    again = exchange(server, request("POST", "/generate", b'{"seed": 299}', Accept="application/x-npy", **TYPE))
    assert several[-2].body == again[0].body


def test_a_reader_that_stalls_is_cut_off_though_it_asks_for_more(start_server: StartServer) -> None:
    cors = "services.drawwell.http.cors"
    bentomls = {"BENTOML_CONFIG_OPTIONS": f"{cors}.enabled=true {cors}.access_control_allow_origins=https://a.example"}
    server = start_server("fashion", DRAWWELL_STALL_SECONDS="1", DRAWWELL_KEEP_ALIVE_SECONDS="1", **bentomls)
    assert "name the origins in DRAWWELL_CORS_ORIGINS" in server.log.read_text()
    body = b'{"seed": 7, "count": 100000}'
    with connect(server, receive_bytes=4096) as raw:
        raw.sendall(kept("POST", "/generate", body, Accept="application/x-npy", **TYPE))
        deadline = time.monotonic() + 30
        worker = psutil.Process(server.process.pid).children()[0]
        port = raw.getsockname()[1]
        while port in {one.raddr.port for one in worker.net_connections("tcp") if one.raddr}:
            assert time.monotonic() < deadline, "it is still connected"
            with contextlib.suppress(ConnectionError):  # it may be cut off between
                raw.send(MODEL)
            time.sleep(0.3)
    with connect(server) as idle:  # the same server, whose idle connections are kept a second
        idle.sendall(MODEL)
        begin = time.monotonic()
        rest(idle)
        assert time.monotonic() - begin > 0.9


def test_an_idle_connection_is_kept_for_longer_than_load_balancers_keep_it() -> None:
    """Many have 60 seconds, and send a request into what they believe is open."""
    assert Settings().keep_alive_seconds > 60
    given = {"config": uvicorn.Config(create_app()), "server_state": ServerState(), "app_state": {}}
    loop = asyncio.new_event_loop()
    assert Connection(Settings(keep_alive_seconds=7), _loop=loop, **given).timeout_keep_alive == 7
    loop.close()


@pytest.mark.parametrize(
    ("accept", "count"), [("application/json", 3), ("application/x-npy", 5000), ("application/x-tar", 5000)]
)
def test_a_client_that_ends_its_side_gets_its_reply(server: Server, accept: str, count: int) -> None:
    body = json.dumps({"seed": 7, "count": count}).encode()
    for sent in (
        request("POST", "/generate", body, Accept=accept, **TYPE),
        kept("POST", "/generate", body, Accept=accept, **TYPE),
    ):
        (reply,) = half_closed(server, sent)
        assert (reply.status, reply.headers["x-drawwell-count"]) == (200, str(count))
        if accept == "application/x-npy":
            assert len(np.load(io.BytesIO(reply.body))) == count


def test_a_client_that_ends_its_side_gets_the_replies_to_all_its_requests(server: Server) -> None:
    several = half_closed(server, MODEL * 300, kept("POST", "/generate", SHORT_BODY, **TYPE) * 3)
    assert [reply.status for reply in several] == [200] * 303
    assert len({reply.body for reply in several[300:]}) == 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (kept("POST", "/generate", SHORT_BODY, **TYPE)[:-5], "body_cut_off"),
        (
            b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            "body_cut_off",
        ),
        (b"GET /model HTTP/1.1\r\nHost: loc", "malformed_request"),
    ],
)
def test_half_a_request_is_answered_as_such(server: Server, sent: bytes, code: str) -> None:
    (reply,) = half_closed(server, sent)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, code)


def test_nothing_more_than_an_end_is_closed(server: Server) -> None:
    assert half_closed(server, b"") == []
    assert [reply.status for reply in half_closed(server, MODEL)] == [200]


def test_trailers_are_no_part_of_the_header(server: Server) -> None:
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailer = b"Accept: image/png\r\nHost: other\r\nContent-Encoding: gzip\r\n"
    for last in (b"", b"Connection: close\r\n"):
        sent = head + b"2\r\n{}\r\n0\r\n" + trailer + last + b"\r\n" + request("GET", "/livez")
        first, *second = exchange(server, sent, seconds=10)
        assert (first.status, first.headers["content-type"]) == (200, "application/json")
        assert [reply.status for reply in second] == ([] if last else [200])


def test_a_refused_body_costs_little_however_it_is_cut_up(server: Server) -> None:
    """Five million chunks of one byte each, which nobody needs: the reply comes, and the rest is not parsed."""
    worker = psutil.Process(server.process.pid).children()[0]
    head = b"POST /model HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    before = sum(worker.cpu_times()[:2])
    (reply,) = exchange(server, head, b"1\r\n \r\n" * 5_000_000, seconds=60)
    assert reply.status in (405, 431)
    assert sum(worker.cpu_times()[:2]) - before < 0.5


def test_the_next_request_follows_a_short_body_that_was_refused(server: Server) -> None:
    refused = kept("POST", "/model", b" " * 50_000)
    several = exchange(server, refused[:200], refused[200:] + request("GET", "/livez"))
    assert [reply.status for reply in several] == [405, 200]


def test_a_body_in_many_small_chunks_is_read(server: Server) -> None:
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b'{"seed": 7, "indices": [' + b"5, " * 33_333 + b"6]}"
    chunks = [b"10\r\n%b\r\n" % body[at : at + 16] for at in range(0, len(body) - 16, 16)]
    rest_of_body = body[16 * len(chunks) :]
    framed = b"".join(chunks) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(rest_of_body), rest_of_body)
    first, second = exchange(server, head, framed + request("GET", "/livez"), seconds=60)
    assert (first.status, second.status) == (400, 200)
    assert json.loads(first.body)["error"]["code"] == "too_many_for_this_form"


def test_a_head_may_have_a_hundred_fields(server: Server) -> None:
    """The first one too many ends it, whether or not the head is whole: fields take far more memory than their bytes."""
    many = b"GET /model HTTP/1.1\r\nHost: localhost\r\n" + b"a:b\r\n" * 98
    assert [one.status for one in exchange(server, many + b"Connection: close\r\n\r\n")] == [200]
    (reply,) = exchange(server, many + b"a:b\r\n" * 3)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (431, "head_too_large")
