"""Clients that ask without a rest, each on a thread of its own, and what became of every request."""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from drawwell.engine.engine import Engine
from drawwell.formats.npy import NPY_TYPE, Npy
from drawwell.generator import Batch

TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Asked:
    """A request for images as npy, and the only right reply to it, drawn here."""

    body: bytes
    reply: bytes
    count: int


def asked(engine: Engine, seed: int, count: int, start: int = 0) -> Asked:
    body = json.dumps({"seed": seed, "count": count, "start": start}).encode()
    return Asked(body, npy(engine.generate(seed, count, start)), count)


def npy(batch: Batch) -> bytes:
    """The whole reply with these images."""
    return Npy.encode(batch.images)


class Seen:
    """What became of the requests of all clients, by kind."""

    def __init__(self) -> None:
        self.kinds = Counter[str]()
        self.images = 0
        self.signalled = float("inf")
        """When the server was told to stop, by ``time.monotonic``."""
        self._lock = threading.Lock()

    def count(self, kind: str, images: int = 0) -> None:
        with self._lock:
            self.kinds[kind] += 1
            self.images += images

    def failures(self) -> dict[str, int]:
        """Of requests that the server had accepted."""
        return {kind: count for kind, count in self.kinds.items() if kind not in ("whole", "refused", "unaccepted")}


class Client:
    """Asks in a closed loop until it is told to end, or until the server is gone."""

    def __init__(self, url: str, several: Sequence[Asked], keeps: bool, seen: Seen) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._http = http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_SECONDS)
        self._several, self._keeps, self._seen = several, keeps, seen
        self._ended = threading.Event()
        self._made = 0.0
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        for one in itertools.cycle(self._several):
            if self._ended.is_set():
                break
            kind = self._outcome(one)
            self._seen.count(kind, one.count if kind == "whole" else 0)
            if not self._keeps or kind != "whole":
                self._http.close()
            if kind in ("refused", "unaccepted") and self._made >= self._seen.signalled:
                break
        self._http.close()

    def _outcome(self, one: Asked) -> str:
        new = self._http.sock is None
        try:
            if new:
                self._http.connect()
        except (
            ConnectionRefusedError,
            ConnectionResetError,
        ):  # the latter: the port closes in the middle of a handshake
            self._made = time.monotonic()
            return "refused"
        if new:
            self._made = time.monotonic()
        return self._exchange(one, new)

    def _exchange(self, one: Asked, new: bool) -> str:
        try:
            self._http.request("POST", "/generate", one.body, _HEADERS)
            answer = self._http.getresponse()
        except (OSError, http.client.HTTPException) as error:
            if new and self._made >= self._seen.signalled:
                return "unaccepted"
            return f"{'new' if new else 'kept'} connection: {type(error).__name__} instead of a reply"
        try:
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__} within the reply"
        if answer.status != 200:
            return f"status {answer.status}"
        return "whole" if body == one.reply else "wrong bytes"


_HEADERS = {"Content-Type": "application/json", "Accept": NPY_TYPE}


@contextmanager
def under_load(url: str, several: Sequence[tuple[Sequence[Asked], bool]]) -> Iterator[Seen]:
    """A client for each sequence of requests, which keeps its connection or not. Within, they ask; afterwards all have ended."""
    seen = Seen()
    clients = [Client(url, requests, keeps, seen) for requests, keeps in several]
    for client in clients:
        client.start()
    try:
        yield seen
    finally:
        for client in clients:
            client.end()
        for client in clients:
            client.join()
