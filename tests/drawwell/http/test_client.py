"""The client against servers that misbehave in every way it must survive or report."""

import io
import json
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from email.utils import formatdate
from typing import Any

import numpy as np
import pytest

import drawwell
from drawwell.errors import RequestError, ResponseError, UnavailableError, UnreachableError
from drawwell.formats.npy import FOOTER_BYTES, FOOTER_MAGIC
from drawwell.http import protocol as wire
from drawwell.http.client import Client
from drawwell.http.exchange import REQUEST_IMAGES
from tests import graphs
from tests.async_client import AsyncAsClient
from tests.conftest import free_port
from tests.scripted import CARD, DIGEST, Handler, Reply, Scripted, body_of, headers_of, pixels, right, serving

Connect = Callable[..., Client]


@pytest.fixture(autouse=True, params=[Client, AsyncAsClient], ids=["Client", "AsyncClient"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this module is a test of both clients."""
    monkeypatch.setattr(sys.modules[__name__], "Client", request.param)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as scripted:
        yield scripted


@pytest.fixture
def connect(server: Scripted) -> Iterator[Connect]:
    """Open clients of the server, and close them in the end."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(closing(Client(server.url, **options)))


def of_another(**changes: int) -> Reply:
    """A whole and right reply to another request."""
    return lambda handler, asked: right(handler, asked | changes)


def status(code: int, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps({"error": {"code": "x", "message": "because"}}).encode()
    return lambda handler, _: handler.reply(code, body, headers)


def cut_off(handler: Handler, asked: dict[str, Any]) -> None:
    body = body_of(pixels(asked))
    handler.reply(200, body[: len(body) // 2], headers_of(asked), len(body))
    handler.close_connection = True
    handler.connection.close()


def flipped(handler: Handler, asked: dict[str, Any]) -> None:
    body = bytearray(body_of(pixels(asked)))
    body[-FOOTER_BYTES - 1] ^= 1
    handler.reply(200, bytes(body), headers_of(asked))


def short(handler: Handler, asked: dict[str, Any]) -> None:
    handler.reply(200, body_of(pixels(asked)[:-1]), headers_of(asked))


def floats(handler: Handler, asked: dict[str, Any]) -> None:
    stream = io.BytesIO()
    np.save(stream, pixels(asked).astype(np.float32))
    handler.reply(200, stream.getvalue() + FOOTER_MAGIC + b"0" * 32, headers_of(asked))


def html(handler: Handler, _: dict[str, Any]) -> None:
    handler.reply(200, b"<html>a proxy's page</html>", {wire.DIGEST: DIGEST})


def unnamed(handler: Handler, _: dict[str, Any]) -> None:
    handler.reply(200, b"<html>a proxy's page</html>")


def no_gzip(handler: Handler, asked: dict[str, Any]) -> None:
    handler.reply(200, body_of(pixels(asked)), headers_of(asked) | {"Content-Encoding": "gzip"})


def twice(handler: Handler, asked: dict[str, Any]) -> None:
    """Names are the same in small letters and capitals."""
    handler.reply(200, body_of(pixels(asked)), headers_of(asked) | {wire.DIGEST.lower(): DIGEST})


def plain_page(handler: Handler, _: dict[str, Any]) -> None:
    handler.reply(404, b"<h1>No such page</h1>")


def test_ranges_and_indices_arrive_as_asked(connect: Connect) -> None:
    client = connect()
    assert client.card == CARD
    assert client.digest == DIGEST
    batch = client.generate(7, 5, start=300)
    assert batch.images[:, 0, 0, 0].tolist() == [44, 45, 46, 47, 48]
    assert batch.indices == range(300, 305)
    assert client.generate(7, indices=[9, 2, 9]).images[:, 0, 0, 0].tolist() == [9, 2, 9]


def test_a_large_count_is_asked_for_in_pieces(server: Scripted, connect: Connect) -> None:
    batch = connect().generate(7, 2 * REQUEST_IMAGES + 1, start=1)
    assert [asked["count"] for _, asked in server.asked] == [REQUEST_IMAGES, REQUEST_IMAGES, 1]
    np.testing.assert_array_equal(
        batch.images[:, 0, 0, 0], (np.arange(1, 2 * REQUEST_IMAGES + 2) % 256).astype(np.uint8)
    )


@pytest.mark.parametrize(
    "failure",
    [
        status(429),
        status(502),
        status(503),
        status(504),
        cut_off,
        flipped,
        short,
        floats,
        html,
        unnamed,
        twice,
        of_another(seed=8),
        of_another(start=5),
        of_another(count=4),
    ],
)
def test_what_passes_is_retried_and_never_returned(server: Scripted, connect: Connect, failure: Reply) -> None:
    client = connect()
    server.script = [failure, failure, right]
    assert client.generate(7, 3).images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("failure", "error", "sentence"),
    [
        (status(503), UnavailableError, "answered 503: because"),
        (status(429), UnavailableError, "answered 429: because"),
        (cut_off, UnreachableError, "127.0.0.1"),
        (flipped, ResponseError, "do not have the checksum"),
        (short, ResponseError, r"that was requested, uint8 \[3, 2, 3, 1\]"),
        (html, ResponseError, "other images"),
        (twice, ResponseError, "the header X-Drawwell-Digest 2 times"),
    ],
)
def test_what_does_not_pass_is_reported(
    server: Scripted, connect: Connect, failure: Reply, error: type[Exception], sentence: str
) -> None:
    client = connect(retry_for=1)
    server.script = [failure]
    with pytest.raises(error, match=sentence):
        client.generate(7, 3)
    assert len(server.asked) > 1


@pytest.mark.parametrize("code", [400, 401, 404, 413, 422])
def test_a_mistake_of_the_caller_is_not_retried(server: Scripted, connect: Connect, code: int) -> None:
    client = connect()
    server.script = [status(code)]
    with pytest.raises(RequestError, match="because"):
        client.generate(7, 3)
    assert len(server.asked) == 1


def test_another_servers_refusal_has_its_number(server: Scripted, connect: Connect) -> None:
    client = connect()
    server.script = [plain_page]
    with pytest.raises(
        RequestError, match=r"answered 404: <h1>No such page.*: is it a drawwell server.*without a route"
    ):
        client.generate(7, 3)


def test_https_to_a_server_without_tls_says_so(server: Scripted) -> None:
    with pytest.raises(UnreachableError, match=r"cannot connect .the server does not speak TLS: write http://"):
        Client(server.url.replace("http://", "https://"), retry_for=10)


@pytest.mark.parametrize("encoding", ["IDENTITY", "", " identity "])
def test_no_encoding_may_be_written_in_any_way(server: Scripted, connect: Connect, encoding: str) -> None:
    server.script = [
        lambda handler, asked: handler.reply(
            200, body_of(pixels(asked)), headers_of(asked) | {"Content-Encoding": encoding}
        )
    ]
    assert connect().generate(7, 3).images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert len(server.asked) == 1


def test_a_server_that_compresses_is_asked_once(server: Scripted, connect: Connect) -> None:
    client = connect()
    server.script = [no_gzip]
    with pytest.raises(ResponseError, match="turn compression off"):
        client.generate(7, 3)
    assert len(server.asked) == 1


def test_what_will_not_pass_ends_at_once(server: Scripted, connect: Connect) -> None:
    client = connect()
    for failure in (status(500), status(301), status(501)):
        server.asked.clear()
        server.script = [failure]
        with pytest.raises(ResponseError, match="because"):
            client.generate(7, 3)
        assert len(server.asked) == 1


def test_other_indices_than_asked_for_are_noticed(server: Scripted, connect: Connect) -> None:
    client = connect()
    server.script = [lambda handler, asked: right(handler, asked | {"indices": [3, 2, 1]}), right]
    assert client.generate(7, indices=[1, 2, 3]).images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert len(server.asked) == 2


@pytest.mark.parametrize("asked_for", [None, 1, [0, 1, 2]])
@pytest.mark.parametrize("came", [None, 2, [0, 1, 1]])
def test_other_labels_than_asked_for_are_noticed(server: Scripted, connect: Connect, asked_for: Any, came: Any) -> None:
    server.card = graphs.card(class_names=("a", "b", "c"))
    client = connect()
    server.script = [lambda handler, asked: right(handler, asked | {"labels": came}), right]
    assert client.generate(7, 3, labels=asked_for).images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert len(server.asked) == (1 if came == asked_for else 2)


def test_the_labels_of_a_large_count_are_asked_for_in_its_pieces(server: Scripted, connect: Connect) -> None:
    server.card = graphs.card(class_names=("a", "b", "c"))
    labels = [index % 3 for index in range(REQUEST_IMAGES + 2)]
    client = connect()
    client.generate(7, REQUEST_IMAGES + 2, labels=labels)
    client.generate(7, REQUEST_IMAGES + 2, labels=2)
    pieces = [labels[:REQUEST_IMAGES], labels[REQUEST_IMAGES:], 2, 2]
    assert [asked["labels"] for _, asked in server.asked] == pieces


@pytest.mark.parametrize("value", ["2", lambda: formatdate(time.time() + 3, usegmt=True)])
def test_retry_after_is_honoured(server: Scripted, connect: Connect, value: str | Callable[[], str]) -> None:
    client = connect()
    server.script = [status(503, {"Retry-After": value if isinstance(value, str) else value()}), right]
    client.generate(7, 1)
    (first, _), (second, _) = server.asked
    assert second - first > 1.9, "it came back before the server asked it to"


def test_a_retry_after_beyond_the_budget_gives_up_at_once(server: Scripted, connect: Connect) -> None:
    client = connect(retry_for=5)
    server.script = [status(429, {"Retry-After": "3600"})]
    with pytest.raises(UnavailableError):
        client.generate(7, 1)
    assert len(server.asked) == 1


def test_retries_are_spread(server: Scripted, connect: Connect) -> None:
    client = connect()
    waits = []
    for _ in range(4):
        server.asked.clear()
        server.script = [status(503), right]
        client.generate(7, 1)
        waits.append(server.asked[1][0] - server.asked[0][0])
    assert max(waits) - min(waits) > 0.02, "all clients would come back together"


def test_another_generator_behind_the_same_url_is_refused(server: Scripted, connect: Connect) -> None:
    client = connect()
    server.script = [lambda handler, asked: handler.reply(200, body_of(pixels(asked)), headers_of(asked, "cd" * 32))]
    with pytest.raises(ResponseError, match=r"now serves the generator cdcd.*open it again"):
        client.generate(7, 1)


def test_nobody_there_is_an_unreachable_error_and_the_wait_is_explained_once(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UnreachableError, match="refused"):
        Client(f"http://127.0.0.1:{free_port()}", retry_for=0.5)
    assert [
        record.getMessage().endswith("cannot connect (Connection refused); trying again for up to 0.5 s")
        for record in caplog.records
    ] == [True]


def test_a_server_that_comes_back_is_found_again() -> None:
    with ExitStack() as stack:
        with serving() as first:
            client = stack.enter_context(closing(Client(first.url)))
            client.generate(7, 1)
        timer = threading.Timer(0.7, lambda: stack.enter_context(serving(first.server_address[1])))
        timer.start()
        assert client.generate(7, 2).images[:, 0, 0, 0].tolist() == [0, 1]
        timer.join()


def test_a_key_goes_before_the_one_in_the_environment(
    server: Scripted, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str | None] = []

    def keep(handler: Handler, asked: dict[str, Any]) -> None:
        sent.append(handler.headers["Authorization"])
        right(handler, asked)

    server.script = [keep]
    connect().generate(7, 1)
    monkeypatch.setenv("DRAWWELL_KEY", "of-the-environment")
    connect().generate(7, 1)
    given = connect(key="given")
    given.generate(7, 1)
    with pickle.loads(pickle.dumps(given)) as travelled:
        travelled.generate(7, 1)
    with drawwell.open(server.url, key="given", timeout=9, retry_for=0) as opened:
        opened.generate(7, 1)
    assert sent == [None, "Bearer of-the-environment", *3 * ["Bearer given"]]


@pytest.mark.parametrize("key", ["", "two words", "sch\u00fcssel", "line\nbreak"])
def test_a_key_that_no_header_carries_is_refused(connect: Connect, key: str) -> None:
    with pytest.raises(RequestError, match=r"^key: the key must be printable ASCII"):
        connect(key=key)


def test_a_key_and_a_password_are_not_both_sent() -> None:
    with pytest.raises(
        RequestError, match=r"http://\*\*\*@host: give a key, or user and password in the URL, not both"
    ):
        Client("http://user:hush@host", key="given")


def test_a_client_travels_as_its_url(connect: Connect) -> None:
    with closing(pickle.loads(pickle.dumps(connect(retry_for=9)))) as travelled:
        assert travelled.generate(7, 2).images[:, 0, 0, 0].tolist() == [0, 1]


@pytest.mark.parametrize("reply", [b"<html></html>", b'{"digest": "\xff"}', b'{"card": ' + b"[" * 100_000])
def test_what_is_no_drawwell_server_is_named(connect: Connect, monkeypatch: pytest.MonkeyPatch, reply: bytes) -> None:
    monkeypatch.setattr(Handler, "do_GET", lambda handler: handler.reply(200, reply))
    with pytest.raises(ResponseError, match="is no drawwell server"):
        connect(retry_for=0.2)


def test_the_errors_are_a_tree() -> None:
    assert issubclass(drawwell.UnavailableError, drawwell.ServerError)
    assert issubclass(drawwell.UnreachableError, drawwell.ServerError)
    assert issubclass(drawwell.ResponseError, drawwell.ServerError)
    assert issubclass(drawwell.RequestError, ValueError)
    for name in drawwell.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(drawwell, name), drawwell.DrawwellError)
