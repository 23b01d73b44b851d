"""Valid requests made wrong, by chance and by design."""

import random
from collections.abc import Callable

Mutation = Callable[[random.Random, bytes], bytes]

_LENGTHS = (
    b"Content-Length: 0",
    b"Content-Length: 1",
    b"Content-Length: 5000000",
    b"Content-Length: -1",
    b"Content-Length: 0x10",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: 7, 7",
    b"Content-Length: 7\r\nContent-Length: 8",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 7",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding:\r\n chunked",
)
_HEADERS = (
    b"Expect: 100-continue",
    b"Expect: 200-ok",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    b"Connection: close, keep-alive",
    b"Content-Encoding: gzip",
    b"Content-Type: multipart/form-data; boundary=",
    b"Content-Type: application/json; charset=\xff",
    b"Accept: application/json;q=nan, image/png;q=1e999, */*;q=-1",
    b"Accept: " + b"a/b;q=0.1," * 2000,
    b"Host: [::1",
    b"Host: x\r\nHost: y",
    b"Authorization: Bearer \xff\x00",
    b'If-None-Match: ",,,W/"',
    b"Range: bytes=9-1",
    b": no name",
    b"no colon",
    b" folded",
)
_TARGETS = (
    b"",
    b"*",
    b"x",
    b"//",
    b"http://x",
    b"http://x/model",
    b"http://[::1/model",
    b"https://x:99999/model?a#b",
    b"/../../../../etc/passwd",
    b"/%2e%2e/%2e%2e/etc/passwd",
    b"/images/%00/%ff/%.png",
    b"/images/" + b"0" * 64 + b"/1/" + b"9" * 5000 + b".png",
    b"/shards/" + b"0" * 64 + b"/1/9-1.tar",
    b"/" + b"a" * 70_000,
    b"/" + b"%41" * 9_000,
    b"/model\x00",
    b"/model\xc3\xa9",
    b"/model?" + b"&" * 9_000,
)
_CHUNKS = (
    b"2\r\n{}\r\n",
    b"2\r\n{}\r\n0\r\n",
    b"2\r\n{}\r\n0\r\n\r\n",
    b"-2\r\n{}\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\n{}",
    b"fffffffffffffffffff\r\n{}",
    b"2\r\n{}0\r\n\r\n",
    b"2;x=" + b"y" * 100_000 + b"\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\n" + b"Trailer: x\r\n" * 20_000 + b"\r\n",
    b"2\n{}\n0\n\n",
    b"1\r\n \r\n" * 5_000,
)
_WHOLE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"\r\n" * 1_000,
    b"\x00" * 1_000,
    b"",
)
_VERSIONS = (b"HTTP/0.9", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/9.9", b"http/1.1", b"HTTP/1.1 ", b"HTTP/", b"")
_METHODS = (
    b"HEAD",
    b"OPTIONS",
    b"TRACE",
    b"CONNECT",
    b"PUT",
    b"DELETE",
    b"PATCH",
    b"get",
    b"M-SEARCH",
    b"SOURCE",
    b"\x00",
)


def _flipped(chance: random.Random, request: bytes) -> bytes:
    flipped = bytearray(request)
    for _ in range(chance.randint(1, 8) if request else 0):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def _cut(chance: random.Random, request: bytes) -> bytes:
    return request[: chance.randrange(len(request) + 1)]


def _without_a_piece(chance: random.Random, request: bytes) -> bytes:
    first, last = sorted(chance.randrange(len(request) + 1) for _ in range(2))
    return request[:first] + request[last:]


def _with_a_piece_again(chance: random.Random, request: bytes) -> bytes:
    first, last = sorted(chance.randrange(len(request) + 1) for _ in range(2))
    return request[:last] + request[first:last] * chance.randint(1, 20) + request[last:]


def _with_rubbish(chance: random.Random, request: bytes) -> bytes:
    place, rubbish = chance.randrange(len(request) + 1), chance.randbytes(chance.randint(1, 64))
    return request[:place] + chance.choice((rubbish, b"\0", b"\r", b"\n", b"\r\n")) + request[place:]


def _with_a_line(request: bytes, line: bytes) -> bytes:
    start, end, rest = request.partition(b"\r\n")
    return start + end + line + end + rest


def _with_a_header(chance: random.Random, request: bytes) -> bytes:
    return _with_a_line(request, chance.choice(_HEADERS))


def _with_a_length(chance: random.Random, request: bytes) -> bytes:
    return _with_a_line(request, chance.choice(_LENGTHS))


def _with_a_random_header(chance: random.Random, request: bytes) -> bytes:
    return _with_a_line(request, chance.randbytes(chance.randint(0, 20)) + b": " + chance.randbytes(20))


def _with_a_long_header(chance: random.Random, request: bytes) -> bytes:
    line = chance.choice(
        (b"X: " + b"x" * 10 ** chance.randint(3, 6), b"\r\n".join([b"X: y"] * 10 ** chance.randint(1, 4)))
    )
    return _with_a_line(request, line)


def _of_another_start(chance: random.Random, request: bytes) -> bytes:
    """Another method, target or version."""
    start, end, rest = request.partition(b"\r\n")
    words = [*start.split(b" ", 2), b"", b""][:3]
    place = chance.randrange(3)
    words[place] = chance.choice((_METHODS, _TARGETS, _VERSIONS)[place])
    return b" ".join(words) + end + rest


def _chunked(chance: random.Random, request: bytes) -> bytes:
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + chance.choice(_CHUNKS) + chance.choice((b"", request))


def _pipelined(chance: random.Random, request: bytes) -> bytes:
    return request * chance.randint(2, 9) + chance.choice((b"", chance.randbytes(50)))


def _of_other_line_ends(chance: random.Random, request: bytes) -> bytes:
    return request.replace(b"\r\n", chance.choice((b"\n", b"\r", b"\r\r\n", b"\n\r")))


def _something_else(chance: random.Random, request: bytes) -> bytes:
    return chance.choice((*_WHOLE, chance.randbytes(200))) + chance.choice((b"", request))


MUTATIONS: tuple[Mutation, ...] = (
    _flipped,
    _cut,
    _without_a_piece,
    _with_a_piece_again,
    _with_rubbish,
    _with_a_header,
    _with_a_length,
    _with_a_random_header,
    _with_a_long_header,
    _of_another_start,
    _chunked,
    _pipelined,
    _of_other_line_ends,
    _something_else,
)


def mutated(chance: random.Random, request: bytes) -> bytes:
    """Made wrong in one to three ways."""
    for mutation in chance.choices(MUTATIONS, k=chance.choice((1, 1, 2, 3))):
        request = mutation(chance, request)
    return request
