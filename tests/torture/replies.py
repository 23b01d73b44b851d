"""A right reply made wrong, by chance and by design."""

import random
from collections.abc import Callable

_HEADERS = (
    b"Content-Length: 0",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Encoding: gzip",
    b"Content-Encoding: br, zstd, gzip, gzip",
    b"Content-Type: text/html; charset=zlib",
    b"Connection: close",
    b"Connection: Upgrade\r\nUpgrade: websocket",
    b"Location: http://user:hush@[::1",
    b"Retry-After: " + b"9" * 5000,
    b"X-Drawwell-Digest: \x9b2J",
    b"X-Drawwell-Seed: 8",
    b"Set-Cookie: " + b"x" * 9000,
    b"X: y\r\n" * 5000 + b"Z: z",
    b": no name",
    b"no colon",
    b" folded",
    b"\x00: \xff",
)
_STATUS_LINES = (
    b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + b"HTTP/1.1 200 OK",
    b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 206 Partial Content",
    b"HTTP/1.1 301 \x9b2J",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 401 " + b"x" * 9000,
    b"HTTP/1.1 500 \xff",
    b"HTTP/1.1 503",
    b"HTTP/1.1 999 x",
    b"HTTP/0.9 200 OK",
    b"HTTP/2 200",
    b"<html>",
    b"\x16\x03\x01",
    b"",
)
_BODIES = (
    b"",
    b"[" * 200_000,
    b'{"error": ' * 50_000,
    b'{"error": {"message": "\\u001b[2J\\n%s"}}' % (b"x" * 100_000),
    b'{"error": {"message": 7}}',
    b"\x93NUMPY\x01\x00v\x00" + b"[" * 9000,
    b"\x1f\x8b\x08" + bytes(1000),
    b"ffffffff\r\n" + b"x" * 1000,
    b"1\r\nx\r\n" * 1000,
)


def mutated(chance: random.Random, reply: bytes) -> bytes:
    """``reply`` with one to three things wrong."""
    for _ in range(chance.randint(1, 3)):
        reply = chance.choice(_MUTATIONS)(chance, reply)
    return reply


def _flip(chance: random.Random, reply: bytes) -> bytes:
    changed = bytearray(reply or b"x")
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(chance: random.Random, reply: bytes) -> bytes:
    return reply[: chance.randrange(len(reply) + 1)]


def _without(chance: random.Random, reply: bytes) -> bytes:
    first = chance.randrange(len(reply) + 1)
    return reply[:first] + reply[first + chance.randint(1, 50) :]


def _with(chance: random.Random, reply: bytes) -> bytes:
    first = chance.randrange(len(reply) + 1)
    return reply[:first] + chance.randbytes(chance.randint(1, 50)) + reply[first:]


def _twice(_: random.Random, reply: bytes) -> bytes:
    return reply + reply


def _header(chance: random.Random, reply: bytes) -> bytes:
    first, _, rest = reply.partition(b"\r\n")
    return b"\r\n".join((first, chance.choice(_HEADERS), rest))


def _status(chance: random.Random, reply: bytes) -> bytes:
    return chance.choice(_STATUS_LINES) + b"\r\n" + reply.partition(b"\r\n")[2]


def _body(chance: random.Random, reply: bytes) -> bytes:
    body = chance.choice(_BODIES)
    head = reply.partition(b"\r\n\r\n")[0].split(b"\r\nContent-Length:")[0]
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


_MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip, _cut, _without, _with, _twice, _header, _header, _status, _body
)  # fmt: skip
