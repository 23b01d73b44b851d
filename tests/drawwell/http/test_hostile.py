"""The client against servers, URLs and an environment that mean harm, or nothing: bounded, and in sentences of our own."""

import dataclasses
import functools
import gzip
import itertools
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import drawwell
from drawwell.errors import DrawwellError, RequestError, ResponseError, ServerError, UnreachableError
from drawwell.formats.npy import Npy
from drawwell.http import protocol as wire
from drawwell.http.client import Client
from tests.async_client import AsyncAsClient
from tests.scripted import DIGEST, Handler, Reply, Scripted, body_of, headers_of, pixels, serving

MOST_SECONDS = 25
"""Of calls that are to take 2: far below the time without a bound, which has no end."""
MOST_BYTES = 16 * 2**20


@pytest.fixture(autouse=True, params=[Client, AsyncAsClient], ids=["Client", "AsyncClient"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this module is a test of both clients."""
    monkeypatch.setattr(sys.modules[__name__], "Client", request.param)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as scripted:
        yield scripted


@pytest.fixture
def client(server: Scripted) -> Iterator[Client]:
    with closing(Client(server.url, timeout=1, retry_for=1)) as client:
        yield client


def raw(head: bytes, pieces: Callable[[dict[str, Any]], Iterator[bytes]]) -> Reply:
    """A reply byte for byte, until the client hangs up."""

    def reply(handler: Handler, asked: dict[str, Any]) -> None:
        handler.close_connection = True
        try:
            handler.wfile.write(head)
            for piece in pieces(asked):
                handler.wfile.write(piece)
        except OSError:
            pass  # it did well

    return reply


def slowly(text: bytes) -> Iterator[bytes]:
    """Byte by byte, each well within the timeout, and again from the beginning."""
    for byte in itertools.cycle(text):
        time.sleep(0.1)
        yield bytes([byte])


def head_of(asked: dict[str, Any], **more: str) -> bytes:
    headers = headers_of(asked) | {name.replace("_", "-"): value for name, value in more.items()}
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items()) + b"\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"", lambda _: slowly(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000)),
        raw(b"", lambda _: slowly(b"HTTP/1.1 100 Continue\r\n\r\n")),
        raw(b"HTTP/1.1 200 OK\r\n", lambda asked: itertools.chain([head_of(asked, Content_Length="9999")], slowly(b"x"))),
        raw(b"HTTP/1.1 503 No\r\nContent-Length: 9999\r\n\r\n", lambda _: slowly(b"x")),
        raw(b"HTTP/1.1 200 OK\r\n", lambda asked: itertools.chain([head_of(asked, Transfer_Encoding="chunked")], slowly(b"1\r\nx\r\n"))),
    ],
    ids=["a head", "continue", "a body", "an error", "chunks"],
)  # fmt: skip
def test_a_byte_now_and_then_does_not_hold_the_client(server: Scripted, client: Client, reply: Reply) -> None:
    server.script = [reply]
    begin = time.monotonic()
    with pytest.raises(ServerError):
        client.generate(7, 3)
    assert time.monotonic() - begin < MOST_SECONDS


def test_a_slow_line_is_no_stall(server: Scripted, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole reply that takes longer than ``timeout`` and ``retry_for``, on a line that is fast enough."""
    monkeypatch.setattr("drawwell.http.transport.SLOWEST_BYTES_PER_SECOND", 64)

    def reply(handler: Handler, asked: dict[str, Any]) -> None:
        body = body_of(pixels(asked))
        handler.reply(200, b"", headers_of(asked), len(body))
        for first in range(0, len(body), 40):
            time.sleep(0.2)
            handler.wfile.write(body[first : first + 40])

    server.script = [reply]
    begin = time.monotonic()
    assert client.generate(7, 40).images[:, 0, 0, 0].tolist() == list(range(40))
    assert time.monotonic() - begin > 2
    assert len(server.asked) == 1


@pytest.mark.parametrize("path", ["model", "generate"])
@pytest.mark.parametrize("status", [200, 500])
def test_an_endless_body_is_not_read(server: Scripted, client: Client, path: str, status: int) -> None:
    sent = 0

    def endless(_: dict[str, Any]) -> Iterator[bytes]:
        nonlocal sent
        while sent < 20 * MOST_BYTES:
            yield b"10000\r\n" + b"x" * 2**16 + b"\r\n"
            sent += 2**16

    def reply(handler: Handler, asked: dict[str, Any]) -> None:
        head = head_of(asked, Transfer_Encoding="chunked") if asked else b"Transfer-Encoding: chunked\r\n\r\n"
        raw(b"HTTP/1.1 %d OK\r\n" % status + head, endless)(handler, asked)

    server.script = [reply]
    if path == "model":
        server.model = lambda handler: reply(handler, {})
    call = functools.partial(Client, server.url, 1, 0) if path == "model" else functools.partial(client.generate, 7, 3)
    with pytest.raises(ServerError), measured():
        call()
    assert sent < 10 * MOST_BYTES, "it was read on and on"


def test_nothing_is_unpacked(server: Scripted, client: Client) -> None:
    bomb = gzip.compress(gzip.compress(bytes(2**26)))
    server.script = [
        lambda handler, asked: handler.reply(200, bomb, headers_of(asked) | {"Content-Encoding": "gzip, gzip"})
    ]
    with pytest.raises(ResponseError, match="in the encoding 'gzip, gzip', which was not asked for"), measured():
        client.generate(7, 3)
    server.script = [lambda handler, _: handler.reply(404, bomb, {"Content-Encoding": "gzip, gzip"})]
    with pytest.raises(RequestError), measured():
        client.generate(7, 3)


def test_a_card_of_huge_images_does_not_make_a_huge_request(server: Scripted) -> None:
    """4,096 images of 8,192 px are 800 GB, which the client would read."""
    server.card = dataclasses.replace(server.card, height=8192, width=8192, channels=3)
    with closing(Client(server.url, retry_for=0)) as client:
        server.script = [lambda handler, _: handler.reply(500, b"enough")]
        with pytest.raises(ResponseError, match="enough"):
            client.generate(7, 4)
    assert server.asked[0][1]["count"] == 1


def header_of_brackets(handler: Handler, asked: dict[str, Any]) -> None:
    body = b"\x93NUMPY\x01\x00\x00\x24" + b"[" * 9000 + b"\n" * 216
    handler.reply(200, body.ljust(Npy((3, 2, 3, 1)).length, b"\0"), headers_of(asked))


@pytest.mark.parametrize(
    "reply",
    [
        header_of_brackets,
        lambda handler, _: handler.reply(400, b"[" * 200_000),
        lambda handler, _: handler.reply(500, b'{"error": ' * 50_000),
        lambda handler, _: handler.reply(500, b'{"error": {"message": ' + b"9" * 9000 + b"}}"),
        lambda handler, _: handler.reply(400, b"x\x9c\x03", {"Content-Type": "text/html; charset=zlib"}),
        lambda handler, _: handler.reply(400, b"\xff\xfe", {"Content-Type": "text/html; charset=undefined"}),
        lambda handler, _: handler.reply(503, b"", {"Retry-After": "9" * 5000}),
        lambda handler, _: handler.reply(503, b"", {"Retry-After": "Mon, 01 Jan 0001 00:00:00 +2359"}),
        lambda handler, _: handler.reply(301, b"", {"Location": "http://[::1"}),
        raw(b"HTTP/1.1 999 \xff\r\n\r\n", lambda _: iter(())),
        raw(b"HTTP/9.9 abc\r\n\r\n", lambda _: iter(())),
        raw(b"\x16\x03\x01" + bytes(500), lambda _: iter(())),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, lambda _: iter(())),
        raw(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", lambda _: iter(())),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", lambda _: iter(())),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", lambda _: iter(())),
    ],
)  # fmt: skip
def test_whatever_comes_is_an_error_of_ours(server: Scripted, client: Client, reply: Reply) -> None:
    server.script = [reply]
    with pytest.raises(DrawwellError):
        client.generate(7, 3)


@pytest.mark.parametrize(
    "model",
    [
        b'{"digest": "%s\\n", "card": {}, "max_count": 1}' % DIGEST.encode(),
        b'{"digest": "\\u001b[2J", "card": {}, "max_count": 1}',
        b'{"digest": "%s", "card": {"format_version": "\\u001b[2J\\n%s"}, "max_count": 1}' % (DIGEST.encode(), b"x" * 9999),
        b'{"digest": "%s", "card": %s, "max_count": 1}' % (DIGEST.encode(), b"9" * 9999),
        b'{"digest": "%s", "card": {"format_version": 3, "prior": "\\u001b[2J%s"}, "max_count": 1}' % (DIGEST.encode(), b"x" * 9999),
    ],
)  # fmt: skip
def test_a_card_that_is_none_is_told_in_a_line(server: Scripted, model: bytes) -> None:
    server.model = lambda handler: handler.reply(200, model)
    with pytest.raises(ResponseError, match="is no drawwell server") as raised:
        Client(server.url, retry_for=0)
    assert_is_a_line(str(raised.value))


@pytest.mark.parametrize("many", [b"[],", b"{},", b'"",', b"0.5,"])
def test_what_is_no_card_takes_no_memory(server: Scripted, many: bytes) -> None:
    """Eight megabytes of empty lists are 200 as objects."""
    lists = b"[" + many * (2**23 // len(many) - 1000) + b"0]"
    for card in (
        b'{"format_version": 3, "x": %s}',
        b'{"format_version": %s}',
        b"%s",
        b'{"format_version": 3, "class_names": %s}',
    ):
        body = b'{"digest": "%s", "max_count": 1, "card": %s}' % (DIGEST.encode(), card % lists)
        server.model = lambda handler, body=body: handler.reply(200, body)  # type: ignore[misc]
        with pytest.raises(ResponseError, match="is no drawwell server"), measured():
            Client(server.url, retry_for=0)


def test_what_a_server_says_is_one_line_of_bounded_length(server: Scripted, client: Client) -> None:
    bad = "\x1b[2J\x9b\nERROR: pay here\u202e" + "x" * 50_000
    said = b'{"error": {"message": "' + bad.encode().replace(b"\n", b"\\n").replace(b"\x1b", b"\\u001b") + b'"}}'
    several: list[Reply] = [
        lambda handler, _: handler.reply(400, said),
        lambda handler, _: handler.reply(503, bad.encode()),
        lambda handler, asked: handler.reply(200, b"", headers_of(asked, "\x9b2J" + "x" * 9000)),
        lambda handler, asked: handler.reply(200, b"", headers_of(asked) | {wire.SEED: "\x9b2J" + "x" * 9000}),
        lambda handler, asked: handler.reply(200, b"", headers_of(asked) | {"Content-Encoding": "\x9b2J" * 9000}),
        lambda handler, _: handler.reply(302, b"", {"Location": "\x9b2J" * 9000}),
        raw(b"HTTP/1.1 500 \x9b2J" + b"x" * 9000 + b"\r\nContent-Length: 0\r\n\r\n", lambda _: iter(())),
    ]
    for reply in several:
        server.script = [reply]
        with pytest.raises(DrawwellError) as raised:
            client.generate(7, 3)
        assert_is_a_line(str(raised.value))


def test_a_redirect_names_where_it_leads(server: Scripted, client: Client) -> None:
    for scheme in ("https:", ""):
        location = {"Location": f"{scheme}//user:hush@elsewhere/generate"}
        server.script = [lambda handler, _, location=location: handler.reply(308, b"", location)]  # type: ignore[misc]
        with pytest.raises(ResponseError, match=rf"answered 308.* {scheme}//\*\*\*@elsewhere/generate"):
            client.generate(7, 3)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://", "has no host"),
        ("http:///path", "has no host"),
        ("http://a..b", "'a..b' is no name of one"),
        (f"http://{'a' * 300}", "has no host"),
        (f"http://{'a' * 64}.com", "has no host"),
        ("http://a b", "has no host"),
        ("http://*", "has no host"),
        ("http://\u2603.net", "is no URL"),
        ("http://999.1.1.1", "is no URL"),
        ("http://[::1", "is no URL"),
        ("http://a\nb", "is no URL"),
        ("http://127.0.0.1:99999", "has the port 99999: a port is from 1 to 65535"),
        ("http://127.0.0.1:0", "has the port 0"),
        ("ftp://127.0.0.1", "is no URL that begins with http:// or https://"),
        ("http://127.0.0.1:1?x=1", "no query and no fragment"),
    ],
)
def test_a_url_that_is_none_is_refused_and_not_tried(url: str, cause: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RequestError, match=cause):
        Client(url)
    assert not caplog.records, "it was tried again"


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hush@127.0.0.1:9",
        "http://hush@127.0.0.1:9",
        "http://user:hu/sh@127.0.0.1:9",
        "http://user:hu#sh@127.0.0.1:9",
        "http://user:hush@[::1",
        "http://user:hush@a b",
        "HTTP://user:hush@127.0.0.1:9",
        "ftp://user:hush@127.0.0.1:9",
        "user:hush@127.0.0.1:9",
        "http:user:hush@127.0.0.1:9",
        "http:/user:hush@127.0.0.1:9",
        "//user:hush@127.0.0.1:9",
    ],
)
def test_a_password_is_never_shown(url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWWELL_RETRY_FOR", "0.3")
    with pytest.raises(DrawwellError) as raised:
        drawwell.open(url)
    assert "***@" in str(raised.value)
    for shown in (str(raised.value), caplog.text):
        assert "hu" not in shown
        assert "sh@" not in shown


@pytest.mark.parametrize(
    ("variable", "value", "cause"),
    [
        ("ALL_PROXY", "socks5://user:hush@127.0.0.1:1", r"ALL_PROXY: socks5://\*\*\*@127.0.0.1:1 is a SOCKS proxy"),
        (
            "http_proxy",
            "socks4://127.0.0.1:1",
            "http_proxy: socks4://127.0.0.1:1, which should be a proxy, is no URL that begins",
        ),
        ("HTTP_PROXY", "http://[::1", r"HTTP_PROXY: http://\[::1, which should be a proxy, is no URL"),
        ("HTTP_PROXY", "http://", "HTTP_PROXY: http://, which should be a proxy, has no host"),
        (
            "HTTP_PROXY",
            "127.0.0.1:99999",
            "HTTP_PROXY: http://127.0.0.1:99999, which should be a proxy, has the port 99999",
        ),
        ("HTTP_PROXY", "user:hush@proxy:99999", r"HTTP_PROXY: http://\*\*\*@proxy:99999, which should be a proxy"),
        ("HTTP_PROXY", "http://127.0.0.1:1", "by way of HTTP_PROXY: .*refused"),
    ],
)
def test_a_wrong_proxy_is_named(variable: str, value: str, cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_proxies(monkeypatch)
    monkeypatch.setenv(variable, value)
    with pytest.raises(DrawwellError, match=cause):
        Client("http://127.0.0.1:9", retry_for=0)


@pytest.mark.parametrize("value", ["[::1]", "::1", "127.0.0.1", "*"])
def test_an_address_without_proxy_may_be_written_in_any_way(
    server: Scripted, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_proxies(monkeypatch)
    monkeypatch.setenv("NO_PROXY", value)
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    url = "http://[::1]:9" if "::1" in value else server.url
    if url == server.url:
        Client(url, retry_for=0).close()
    else:
        with pytest.raises(UnreachableError) as raised:
            Client(url, retry_for=0)
        assert "ALL_PROXY" not in str(raised.value)


def test_a_proxy_is_used(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for the whole URL."""
    without_proxies(monkeypatch)
    monkeypatch.setenv("HTTP_PROXY", server.url.removeprefix("http://"))
    with closing(Client("http://nowhere.example:3000", retry_for=0)) as client:
        assert client.generate(7, 2).images[:, 0, 0, 0].tolist() == [0, 1]
    assert server.paths == ["http://nowhere.example:3000/model", "http://nowhere.example:3000/generate"]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
def test_wrong_certificates_are_named_and_only_where_they_are_needed(
    server: Scripted, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "/nowhere/at/all")
    Client(server.url, retry_for=0).close()
    with pytest.raises(RequestError, match=f"{variable}=/nowhere/at/all: certificates cannot be read"):
        Client("https://127.0.0.1:9", retry_for=0)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
def test_certificates_that_are_a_pipe_are_not_waited_for(variable: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = "import drawwell; drawwell.open('https://127.0.0.1:9')"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SSL")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {variable: str(pipe)},
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
    )
    assert f"RequestError: {variable}={pipe}: is a pipe or a device, not a file" in done.stderr


@pytest.fixture(params=["as installed", "stand-in"])
def socks(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package ``socksio``, which is no dependency; the stand-in refuses every answer, as that one those that are no SOCKS."""
    without_proxies(monkeypatch)
    if request.param == "as installed":
        pytest.importorskip("socksio")
        yield
        return
    (tmp_path / "socksio.py").write_text(SOCKSIO)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.MonkeyPatch.context() as context:
        for name in ("socksio", "httpcore._sync.socks_proxy", "httpcore._async.socks_proxy"):
            context.setitem(sys.modules, name, None)  # so that it is restored
            del sys.modules[name]
        yield


SOCKSIO = """
class SOCKSError(Exception):
    pass

class socks5:
    class SOCKS5AuthMethod:
        NO_AUTH_REQUIRED = b"\\0"
        USERNAME_PASSWORD = b"\\2"

    class SOCKS5Connection:
        def send(self, request):
            pass

        def data_to_send(self):
            return b"\\5\\1\\0"

        def receive_data(self, data):
            raise SOCKSError("Malformed reply")

    def SOCKS5AuthMethodsRequest(methods):
        pass
"""


@pytest.mark.usefixtures("socks")
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\5", b""], ids=["HTTP", "half", "nothing"])
def test_a_proxy_that_speaks_no_socks_is_named(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(answer) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        with pytest.raises(UnreachableError, match="by way of ALL_PROXY: Malformed reply"):
            Client("http://127.0.0.1:9", retry_for=0)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password_is_named_at_once(
    scheme: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_proxies(monkeypatch)
    with answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as port:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(
            RequestError, match=r"by way of ALL_PROXY: the proxy does not accept user and password \(407"
        ):
            Client(f"{scheme}://nowhere.example:9")
    assert not caplog.records, "it was tried again"


def test_a_proxy_that_refuses_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_proxies(monkeypatch)
    with answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(UnreachableError, match="by way of ALL_PROXY: 403 Forbidden"):
            Client("https://nowhere.example:9")
    assert not caplog.records, "it was tried again"


def test_many_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent("0.0.0.0", 0) as port:
        resolve_as(monkeypatch, [f"127.0.0.{last}" for last in range(2, 62)])
        begin = time.monotonic()
        with pytest.raises(UnreachableError):
            Client(f"http://many.example:{port}", timeout=1, retry_for=1)
        assert time.monotonic() - begin < MOST_SECONDS


def test_an_address_that_is_silent_does_not_hide_the_next_one(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent("127.0.0.2", server.server_address[1]):
        resolve_as(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        Client(f"http://two.example:{server.server_address[1]}", timeout=4, retry_for=0).close()


@pytest.mark.parametrize("path", ["model", "generate"])
def test_only_images_may_come_slowly(
    server: Scripted, client: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only where the reply begins as they do; a card is small."""
    monkeypatch.setattr("drawwell.http.transport.SLOWEST_BYTES_PER_SECOND", 1)

    def reply(handler: Handler, asked: dict[str, Any]) -> None:
        head = head_of(asked, Content_Length="9999") if asked else b"Content-Length: 9999\r\n\r\n"
        raw(b"HTTP/1.1 200 OK\r\n" + head, lambda _: slowly(b" "))(handler, asked)

    server.script = [reply]
    server.model = lambda handler: reply(handler, {})
    call = functools.partial(Client, server.url, 1, 0) if path == "model" else functools.partial(client.generate, 7, 3)
    begin = time.monotonic()
    with pytest.raises(
        UnreachableError,
    ):
        call()
    assert time.monotonic() - begin < MOST_SECONDS


def test_a_server_without_tls_is_not_asked_again(server: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ServerError, match="the server does not speak TLS"):
        Client(server.url.replace("http", "https"))
    assert not caplog.records


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate with")
def test_tls_is_checked_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An authority that nobody knows is told at once; known, it serves, and the deadline holds as without TLS."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *options.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = server.url.replace("http", "https")
        with pytest.raises(UnreachableError, match="self-signed certificate"):
            Client(url)
        assert not caplog.records
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with closing(Client(url, timeout=1, retry_for=1)) as client:
            assert client.generate(7, 2).images[:, 0, 0, 0].tolist() == [0, 1]
            server.script = [raw(b"", lambda _: slowly(b"HTTP/1.1 100 Continue\r\n\r\n"))]
            with pytest.raises(UnreachableError):
                client.generate(7, 2)


def test_a_closed_client_says_so(client: Client) -> None:
    client.close()
    client.close()
    with pytest.raises(RequestError, match="this generator is closed"):
        client.generate(7, 1)


@pytest.mark.parametrize("seconds", [-1, float("nan"), 1e300, None, "9", True])
def test_seconds_that_are_none_are_refused(server: Scripted, seconds: Any) -> None:
    for name in ("timeout", "retry_for")[: 1 if seconds is None else 2]:  # None is the default of retry_for
        with pytest.raises(RequestError, match=f"{name} must be in seconds"):
            Client(server.url, **{name: seconds})


def test_threads_end_together(server: Scripted) -> None:
    """The deadline is each thread's own: one that is held up does not end the others."""
    hold = threading.Event()

    def reply(handler: Handler, asked: dict[str, Any]) -> None:
        if asked["seed"] == 8:
            hold.wait(MOST_SECONDS)
        handler.reply(200, body_of(pixels(asked)), headers_of(asked))

    server.script = [reply]
    with closing(Client(server.url, timeout=MOST_SECONDS, retry_for=MOST_SECONDS)) as client:
        held = threading.Thread(target=client.generate, args=(8, 1))
        held.start()
        for _ in range(20):
            assert client.generate(7, 2).images[:, 0, 0, 0].tolist() == [0, 1]
        hold.set()
        held.join()


def assert_is_a_line(text: str) -> None:
    assert text.isprintable(), repr(text[:300])
    assert len(text) < 2500


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A port that says this to everybody, and hangs up."""

    class Answering(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@contextmanager
def silent(host: str, port: int) -> Iterator[int]:
    """A port whose queue is full, so that connecting takes for ever."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", listener.getsockname()[1]))
        yield listener.getsockname()[1]


def resolve_as(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    resolve = socket.getaddrinfo

    def resolved(host: str | bytes, *more: Any, **named: Any) -> Any:
        host = host.decode() if isinstance(host, bytes) else host
        hosts = addresses if host.endswith(".example") else [host]
        return [found for one in hosts for found in resolve(one, *more, **named)]

    without_proxies(monkeypatch)
    monkeypatch.setattr(socket, "getaddrinfo", resolved)


def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@contextmanager
def measured() -> Iterator[None]:
    """Fails where more memory is taken than any of these replies needs."""
    tracemalloc.start()
    try:
        yield
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 3 * MOST_BYTES
