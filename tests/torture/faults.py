"""A proxy that delays, cuts, duplicates, corrupts and resets what goes through it, and counts the requests."""

import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

_SECONDS = 60
_MOST_DELAY_SECONDS = 0.05
FAULTS = ("delay", "cut", "duplicate", "corrupt", "reset")


class FaultyProxy:
    """Forwards each request to one server, and spoils the replies to a share of the requests for images.

    Attributes:
        url: Where it listens.
        requests: How many requests for images it was sent.
        faults: How often it did what.
    """

    def __init__(self, upstream: tuple[str, int], chance: random.Random, share: float) -> None:
        self._upstream, self._chance, self._share = upstream, chance, share
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests, self.faults = 0, Counter[str]()

    def serve(self) -> None:
        """Accept connections, each in a thread, until ``stop``."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # stopped
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve_one(self, connection: socket.socket) -> None:
        with closing(connection):
            connection.settimeout(_SECONDS)
            try:
                while request := _message(connection):
                    if not self._answer(connection, request):
                        return
            except OSError:
                return  # the client hung up

    def _answer(self, connection: socket.socket, request: bytes) -> bool:
        """Return whether the connection goes on."""
        fault = self._fault(request)
        if fault == "duplicate":
            _exchange(self._upstream, request)  # the server draws it twice
        reply = _exchange(self._upstream, request)
        if fault == "delay":
            time.sleep(self._chance.uniform(0, _MOST_DELAY_SECONDS))
        if fault == "corrupt":
            reply = self._flipped(reply)
        if fault in ("cut", "reset"):
            connection.sendall(reply[: self._chance.randrange(len(reply))])
            if fault == "reset":  # the system drops what it has not sent yet
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        connection.sendall(reply * (2 if fault == "duplicate" else 1))
        return fault != "duplicate"

    def _fault(self, request: bytes) -> str | None:
        if not request.startswith(b"POST"):
            return None
        with self._lock:
            self.requests += 1
            fault = self._chance.choice(FAULTS) if self._chance.random() < self._share else None
            self.faults[fault or "none"] += 1
        return fault

    def _flipped(self, reply: bytes) -> bytes:
        """One bit of the body is another."""
        begins = reply.index(b"\r\n\r\n") + 4
        flipped = bytearray(reply)
        flipped[self._chance.randrange(begins, len(reply))] ^= 1 << self._chance.randrange(8)
        return bytes(flipped)


@contextmanager
def faulty(upstream: tuple[str, int], chance: random.Random, share: float) -> Iterator[FaultyProxy]:
    """A proxy that spoils a share of the replies."""
    proxy = FaultyProxy(upstream, chance, share)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


def _exchange(upstream: tuple[str, int], request: bytes) -> bytes:
    """The whole reply to a request, on a connection of its own."""
    with socket.create_connection(upstream, _SECONDS) as server:
        server.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        reply = b"".join(iter(lambda: server.recv(2**16), b""))
    return re.sub(rb"(?i)\r\nconnection: close", b"", reply, count=1)


def _message(connection: socket.socket) -> bytes:
    """A request with its body; nothing where the client hung up."""
    message = b""
    while not (head := re.match(rb".*?\r\n\r\n", message, re.DOTALL)):
        if not (more := connection.recv(2**16)):
            return b""
        message += more
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head[0])
    size = head.end() + (int(length[1]) if length else 0)
    while len(message) < size:
        if not (more := connection.recv(2**16)):
            return b""
        message += more
    return message
