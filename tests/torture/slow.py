"""Slow clients of every kind, in a process of their own: `python -m tests.torture.slow PORT MANY SOME FEW`.

Prints of each connection, by its port, its kind and when it was there (``time.monotonic``), and goes on until its standard input ends.
"""

import contextlib
import json
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator

_POST = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/x-npy\r\n"
_CLOSE = b"Connection: close\r\n"
_SMALL_BUFFER = 4096


def main(port: int, many: int, some: int, few: int) -> None:
    clients = [
        (kind, _connected(port, sent), trickle, time.monotonic())
        for kind, count, sent, trickle in _kinds(many, some, few)
        for _ in range(count)
    ]
    print(json.dumps({client.getsockname()[1]: (kind, when) for kind, client, _, when in clients}), flush=True)
    with selectors.DefaultSelector() as told:
        told.register(sys.stdin, selectors.EVENT_READ)
        while not told.select(1):
            for _, client, trickle, _ in clients:
                with contextlib.suppress(OSError):  # closed by the server, or nothing there to read
                    trickle(client)


def _nothing(_: socket.socket) -> None:
    pass


def _read(client: socket.socket) -> None:
    client.recv(16)


def _send(client: socket.socket) -> None:
    client.send(b" ")


def _kinds(many: int, some: int, few: int) -> Iterator[tuple[str, int, bytes, Callable[[socket.socket], None]]]:
    """Kind, how many, what they send at once, and what they do each second."""
    fewer = max(2, few // 5)
    yield "half a head", many, _POST, _nothing
    yield "nothing at all", fewer, b"", _nothing
    yield "a stalled body", some, _POST + b"Content-Length: 100\r\n\r\n{", _nothing
    yield "a chunked body without end", fewer, _POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n", _nothing
    yield "a slow reader", few, _asking(1_000_000), _read
    yield "a reader of nothing", fewer, _asking(1_000_000), _nothing
    for count in (64, 96, 128, 192, 256):  # around what lies in the buffers of the kernel
        yield "a small reply unread", 1, _asking(count), _nothing
        yield "a small last reply unread", 1, _asking(count, _CLOSE), _nothing
    yield "a head byte by byte", fewer, _POST + b"X: ", _send
    yield "a body byte by byte", fewer, _POST + b"Content-Length: 1000\r\n\r\n", _send
    yield (
        "a refused body byte by byte",
        fewer,
        b"POST /model HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
        _send,
    )


def _asking(count: int, header: bytes = b"") -> bytes:
    body = b'{"seed": 7, "count": %d}' % count
    return _POST + header + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _connected(port: int, sent: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
    client.connect(("127.0.0.1", port))
    client.sendall(sent)
    client.setblocking(False)
    return client


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
