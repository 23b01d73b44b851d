"""Whose images are drawn next, and which are drawn together.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996, equations 4 and 5): a piece of n
images of request r is tagged with the start ``S = max(v, F_r)``, which moves r's finish to ``F_r = S + n``; the piece of the
least tag is drawn next, and the virtual time ``v`` is the tag of what was drawn last. So whoever has had less comes
first: a lone image passes a long request after the pieces under way, and no request waits for ever.
"""

import asyncio
import contextlib
import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from drawwell.engine.backends import Feeds
from drawwell.engine.engine import Engine
from drawwell.errors import DeviceMemoryError, ProviderError
from drawwell.generator import Images
from drawwell_serve.metrics import Metrics

PATIENCE_SECONDS = 2.0
"""When all places are taken, a reply that has waited longer than this for its client, in total, may lose its place."""

PIECE_SECONDS = 0.01
"""The most that one run should take: what a newcomer waits for."""


class Flow:
    """One request's claim on the engine: ``gone`` tells whether its client has left, ``cut`` ends the connection, ``left`` images are
    to be drawn, ``held`` are in memory.
    """

    def __init__(
        self,
        gone: Callable[[], bool] = lambda: False,
        left: int = 0,
        held: int = 0,
        cut: Callable[[], None] = lambda: None,
    ) -> None:
        self.gone, self.cut, self.left, self.held, self.finish = gone, cut, left, held, 0.0
        self.finds_length = False
        """Whether images are drawn only to learn how long the reply is: work that its client need not read."""
        self._began = time.monotonic()
        self._sent_bytes, self._read_seconds, self._reading_since = 0, 0.0, math.inf

    @contextlib.contextmanager
    def reading(self, count: int) -> Iterator[None]:
        """Count the time within as waiting for the client, which then has ``count`` more bytes to read."""
        self._reading_since = time.monotonic()
        try:
            yield
        finally:
            self._read_seconds = self._seconds_read(time.monotonic())
            self._reading_since = math.inf
            self._sent_bytes += count

    def waits_for_client(self) -> bool:
        """Whether the reply has waited for its client longer than for the engine, and for more than ``PATIENCE_SECONDS``."""
        now = time.monotonic()
        return self._seconds_read(now) > max(PATIENCE_SECONDS, (now - self._began) / 2)

    def bytes_a_second(self) -> float:
        """The rate at which the client reads while the reply waits for it."""
        return self._sent_bytes / max(self._seconds_read(time.monotonic()), 1e-9)

    def _seconds_read(self, now: float) -> float:
        return self._read_seconds + max(0.0, now - self._reading_since)


@dataclass(order=True)
class _Piece:
    start: float
    order: int
    flow: Flow = field(compare=False)
    count: int = field(compare=False)
    feeds: Callable[[], Feeds] = field(compare=False)
    then: Callable[[Images], Any] = field(compare=False)
    future: "asyncio.Future[Any]" = field(compare=False)
    submitted: float = field(compare=False, default_factory=time.perf_counter)


class Scheduler:
    """Draws pieces of many requests on as many threads as the engine has. Rows of several requests go into one run."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine, self._metrics = engine, metrics
        self.piece_images, seconds = _piece_of(engine)
        self.images_a_second = engine.threads * self.piece_images / seconds
        self.waiting_images, self.failed = 0, False
        self._heap: list[_Piece] = []
        self._virtual, self._order = 0.0, itertools.count()
        self._changed, self._closed = threading.Condition(), False
        # daemons, so that a process whose main thread fails ends, and another takes its place
        names = [f"draw-{number}" for number in range(engine.threads)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def submit(
        self, flow: Flow, count: int, feeds: Callable[[], Feeds], then: Callable[[Images], Any]
    ) -> "asyncio.Future[Any]":
        """Draw ``count`` images, at most ``piece_images``, of what ``feeds`` returns, and pass them to ``then`` on the same thread.

        The future gets what ``then`` returns. Cancelled, or of a client that has gone, the piece is not drawn.
        """
        future = asyncio.get_running_loop().create_future()
        with self._changed:
            start = max(self._virtual, flow.finish)
            flow.finish = start + count
            heapq.heappush(self._heap, _Piece(start, next(self._order), flow, count, feeds, then, future))
            self.waiting_images += count
            self._metrics.waiting(self.waiting_images)  # under the lock, else an older number could come last and stay
            self._changed.notify()
        return future

    def close(self) -> None:
        """Draw what is queued, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (run := self._next()) is not None:
            if run:
                self._draw(run)

    def _next(self) -> list[_Piece] | None:
        """The next piece, and as many whole ones after it as one run holds; None once closed."""
        run: list[_Piece] = []
        room = self.piece_images
        with self._changed:
            self._changed.wait_for(lambda: self._heap or self._closed)
            if not self._heap:
                return None
            while self._heap and self._heap[0].count <= room:
                piece = heapq.heappop(self._heap)
                self.waiting_images -= piece.count
                self._virtual = piece.start
                if piece.future.cancelled() or piece.flow.gone():
                    _deliver([piece], [asyncio.CancelledError()])
                else:
                    run.append(piece)
                    room -= piece.count
            self._metrics.waiting(self.waiting_images)
        return run

    def _draw(self, run: list[_Piece]) -> None:
        began = time.perf_counter()
        try:
            images = self._engine.draw(_joined([piece.feeds() for piece in run]))
            drawn = time.perf_counter()
            ends = list(itertools.accumulate(piece.count for piece in run))
            results = [piece.then(images[end - piece.count : end]) for piece, end in zip(run, ends, strict=True)]
        except Exception as error:  # whoever waits for it decides what it means
            self.failed |= isinstance(error, ProviderError) and not isinstance(error, DeviceMemoryError)
            _deliver(run, [error] * len(run))
            return
        _deliver(run, results)
        self._metrics.drew(
            len(images), [began - piece.submitted for piece in run], drawn - began, time.perf_counter() - drawn
        )
        rate = self._engine.threads * len(images) / (drawn - began)
        self.images_a_second += 0.05 * (rate - self.images_a_second)


def _deliver(run: list[_Piece], results: list[Any]) -> None:
    """One wake-up of the event loop for a whole run."""
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile, and nobody waits any more
        run[0].future.get_loop().call_soon_threadsafe(_settle, run, results)


def _settle(run: list[_Piece], results: list[Any]) -> None:
    for piece, result in zip(run, results, strict=True):
        if piece.future.done():
            continue
        if isinstance(result, asyncio.CancelledError):
            piece.future.cancel()
        elif isinstance(result, Exception):
            piece.future.set_exception(result)
        else:
            piece.future.set_result(result)


def _joined(feeds: list[Feeds]) -> Feeds:
    if len(feeds) == 1:
        return feeds[0]
    return {name: np.concatenate([one[name] for one in feeds]) for name in feeds[0]}


def _piece_of(engine: Engine) -> tuple[int, float]:
    """The images of a piece and the seconds that it takes on one thread: halved until within ``PIECE_SECONDS``.

    A device draws one padded shape, so that fewer images would not be drawn sooner.
    """
    images = engine.piece_images
    while True:
        seconds = min(_seconds(engine, images) for _ in range(3))
        if seconds <= PIECE_SECONDS or images == 1 or engine.provider == "cuda":
            return images, seconds
        images //= 2


def _seconds(engine: Engine, images: int) -> float:
    feeds = engine.feeds(0, range(images))
    begin = time.perf_counter()
    engine.draw(feeds)
    return time.perf_counter() - begin
