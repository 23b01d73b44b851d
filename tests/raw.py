"""HTTP by hand: bytes to a server, and what came back, for requests that no client library would send."""

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.conftest import Server

_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


@dataclass(frozen=True)
class Reply:
    """One reply of a connection."""

    status: int
    headers: dict[str, str]
    body: bytes


def connect(server: Server, receive_bytes: int | None = None, seconds: float = 30) -> socket.socket:
    """A connection, with a small buffer of its own for a reader that is to be slow."""
    address = urlsplit(server.url)
    raw = socket.socket()
    if receive_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.settimeout(seconds)
    raw.connect((address.hostname, address.port))
    return raw


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The last request of a connection; ``Content_Type="..."`` is the header Content-Type."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + body


def exchange(server: Server, *sent: bytes, seconds: float = 30) -> list[Reply]:
    """Everything that the server replies until it closes. Raises ``TimeoutError`` where it does not."""
    with connect(server, seconds=seconds) as raw:
        received = b""
        try:
            for part in sent:
                raw.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have closed already; what it said before is read
        try:
            while came := raw.recv(65536):
                received += came
        except ConnectionResetError:
            pass  # it did not want to read the rest
    return replies(received)


def replies(received: bytes) -> list[Reply]:
    """Take the replies of one connection apart. Raises ``AssertionError`` where it is not replies from end to end."""
    several = []
    while received:
        head = _HEAD.match(received)
        assert head is not None, f"this is no reply: {received[:300]!r}"
        lines = head[2].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body, received = _body(headers, received[head.end() :])
        several.append(Reply(int(head[1]), headers, body))
    return several


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes]:
    """The body, and what follows it."""
    if rest.startswith(b"HTTP/1.1 ") or not rest:  # to HEAD, or 100 Continue
        return b"", rest
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while (size := int(rest.partition(b"\r\n")[0], 16)) > 0:
            rest = rest.partition(b"\r\n")[2]
            body, rest = body + rest[:size], rest[size + 2 :]
        return body, rest[len(b"0\r\n\r\n") :]
    length = int(headers["content-length"])
    assert len(rest) >= length, "the reply was cut off"
    return rest[:length], rest[length:]
