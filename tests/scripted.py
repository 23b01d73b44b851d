"""A server whose replies are written by hand: what no real one would send, at the moment that a test wants it."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import numpy as np

from drawwell.files.card import ModelCard
from drawwell.formats.npy import Npy
from drawwell.http import protocol as wire
from drawwell.image_request import ImageRequest
from tests import graphs

DIGEST = "ab" * 32
CARD = graphs.card()
Reply = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """Answers ``/model`` right, and ``/generate`` with the replies of a script, the last one again and again."""

    protocol_version = "HTTP/1.1"
    server: "Scripted"

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.model(self)

    def do_POST(self) -> None:
        self.server.paths.append(self.path)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((time.monotonic(), asked))
        script = self.server.script
        (script.pop(0) if len(script) > 1 else script[0])(self, asked)

    def reply(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Scripted(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.script: list[Reply] = [right]
        self.card = CARD
        self.model: Callable[[Handler], None] = lambda handler: handler.reply(200, model_of(self.card))
        self.asked: list[tuple[float, dict[str, Any]]] = []
        self.paths: list[str] = []
        self.connections = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(port: int = 0) -> Iterator[Scripted]:
    scripted = Scripted(port)
    thread = threading.Thread(target=scripted.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield scripted
    finally:
        scripted.shutdown()
        scripted.server_close()
        thread.join()


def model_of(card: ModelCard) -> bytes:
    return msgspec.json.encode({"digest": DIGEST, "card": card, "max_count": 1_000_000})


def pixels(asked: dict[str, Any]) -> np.ndarray:
    """Every image holds the low byte of its index."""
    indices = asked.get("indices") or range(asked["start"], asked["start"] + asked["count"])
    return np.stack([np.full(graphs.SHAPE, index % 256, np.uint8) for index in indices])


def body_of(images: np.ndarray) -> bytes:
    return Npy.encode(images)


def headers_of(asked: dict[str, Any], digest: str = DIGEST) -> dict[str, str]:
    indices = (
        np.array(asked["indices"]) if "indices" in asked else range(asked["start"], asked["start"] + asked["count"])
    )
    labels = np.array(asked["labels"]) if isinstance(asked.get("labels"), list) else asked.get("labels")
    return {wire.DIGEST: digest} | wire.about(ImageRequest(asked["seed"], indices, labels))


def right(handler: Handler, asked: dict[str, Any]) -> None:
    handler.reply(200, body_of(pixels(asked)), headers_of(asked))
