"""The fair queue in front of the engine: which request is drawn next, and which are drawn together.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996, equations 4 and 5): a piece of n
rows of request r gets the start tag ``S = max(v, F_r)``, and r's finish tag becomes ``F_r = S + n c``, where c is what a row
costs: the measured seconds of drawing an image, or of judging a picture. The piece with the least start tag is run next, and the
virtual time ``v`` is the start tag of the piece that was run last. A single image therefore overtakes a long request after the
pieces under way, no request waits for ever, and those who judge get no more of the engine's time than those who draw.
"""

import asyncio
import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from drawwell.engine.engine import Engine
from drawwell.errors import DeviceMemoryError, ProviderError
from drawwell.image_request import Feeds, ImageRequest
from drawwell_serve.drawing.active_request import ActiveRequest
from drawwell_serve.drawing.work import Work, piece_rows, seconds_of
from drawwell_serve.metrics import Metrics

OnRows = Callable[[Any, int], Any]
"""Takes the rows of a piece, and the position of the first one in its request."""


@dataclass(order=True)
class _Piece:
    """The rows at positions ``first`` to ``last - 1`` of a request."""

    start: float
    order: int
    active: ActiveRequest = field(compare=False)
    feeds: Callable[[], Feeds] = field(compare=False)
    first: int = field(compare=False)
    last: int = field(compare=False)
    on_rows: OnRows = field(compare=False)
    future: "asyncio.Future[Any]" = field(compare=False)
    cost: float = field(compare=False)
    submitted: float = field(compare=False, default_factory=time.perf_counter)

    @property
    def work(self) -> Work:
        return self.active.work

    @property
    def count(self) -> int:
        return self.last - self.first


class Scheduler:
    """Runs pieces of many requests on as many threads as the engine has. One run may hold pieces of several requests.

    Args:
        engine: Draws the images. Its speed is measured here, and decides how many images a piece has.
        metrics: Counts the images, the runs and the queue.
    """

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine, self._metrics = engine, metrics
        self.drawing = Work(engine.draw, metrics.drew, *_piece_of(engine))
        self.waiting_images, self.waiting_seconds = 0, 0.0
        """The rows in the queue, images and pictures, and the seconds that one thread will need for them."""
        self._heap: list[_Piece] = []
        self._virtual, self._order = 0.0, itertools.count()
        self._changed, self._closed = threading.Condition(), False
        # daemon threads: a process whose main thread fails must end, so that another one is started
        names = [f"draw-{number}" for number in range(engine.threads)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    @property
    def piece_images(self) -> int:
        """The most images of a piece."""
        return self.drawing.most_rows

    def submit(
        self, active: ActiveRequest, request: ImageRequest, places: slice, on_images: OnRows
    ) -> "asyncio.Future[Any]":
        """Queue a piece of ``request``.

        Args:
            active: The admitted request. If its client disconnects, the piece is not drawn.
            request: The images.
            places: The positions of the piece's images in the request, at most ``piece_images`` of them.
            on_images: Called with the images, uint8 ``[n, H, W, C]``, on the thread that has drawn them.

        Returns:
            A future of the value that ``on_images`` returns. If it is cancelled in time, the piece is not drawn.
        """

        return self.queue(active, places, lambda: request.part(places).feeds(self._engine.card), on_images)

    def queue(
        self, active: ActiveRequest, places: slice, feeds: Callable[[], Feeds], on_rows: OnRows
    ) -> "asyncio.Future[Any]":
        """Queue a piece of the work of ``active``, as ``submit`` does. ``feeds`` gives its inputs when it is its turn."""
        future = asyncio.get_running_loop().create_future()
        first, last = places.start, places.stop
        cost = (last - first) * active.work.row_seconds
        with self._changed:
            start = max(self._virtual, active.finish)
            active.finish = start + cost
            heapq.heappush(
                self._heap, _Piece(start, next(self._order), active, feeds, first, last, on_rows, future, cost)
            )
            self._wait_for(last - first, cost)
            self._changed.notify()
        return future

    def _wait_for(self, rows: int, seconds: float) -> None:
        """Count rows that come into the queue; negative ones leave it. Under the lock: an older number could be set last, and stay."""
        self.waiting_images += rows
        self.waiting_seconds = self.waiting_seconds + seconds if self.waiting_images else 0.0
        self._metrics.waiting(self.waiting_images)

    def close(self) -> None:
        """Run the pieces in the queue, then end the threads."""
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
        """The next piece, and as many whole ones of its kind after it as one run holds; None once closed."""
        run: list[_Piece] = []
        with self._changed:
            self._changed.wait_for(lambda: self._heap or self._closed)
            if not self._heap:
                return None
            work = self._heap[0].work
            room = work.most_rows
            while self._heap and self._heap[0].work is work and self._heap[0].count <= room:
                piece = heapq.heappop(self._heap)
                self._wait_for(-piece.count, -piece.cost)
                self._virtual = piece.start
                if piece.future.cancelled() or piece.active.is_disconnected():
                    _deliver([piece], [asyncio.CancelledError()])
                else:
                    run.append(piece)
                    room -= piece.count
        return run

    def _draw(self, run: list[_Piece]) -> None:
        work, began = run[0].work, time.perf_counter()
        try:
            rows = work.run(_joined([piece.feeds() for piece in run]))
            drawn = time.perf_counter()
            ends = list(itertools.accumulate(piece.count for piece in run))
            results = [
                piece.on_rows(rows[end - piece.count : end], piece.first) for piece, end in zip(run, ends, strict=True)
            ]
        except Exception as error:  # it is raised again where the future is awaited
            work.failed |= isinstance(error, ProviderError) and not isinstance(error, DeviceMemoryError)
            _deliver(run, [error] * len(run))
            return
        _deliver(run, results)
        work.measure(len(rows), drawn - began)
        work.ran(len(rows), [began - piece.submitted for piece in run], drawn - began, time.perf_counter() - drawn)


def _deliver(run: list[_Piece], results: list[Any]) -> None:
    """Settle the futures of a whole run in one turn of the event loop."""
    # the loop may have been closed meanwhile; then nothing awaits the futures any more
    with contextlib.suppress(RuntimeError):
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
    """The images of a piece, and the seconds of its run. A device pads every run to one shape, so fewer images would take as long there."""

    def seconds(images: int) -> float:
        return seconds_of(engine.draw, engine.feeds(0, range(images)))

    if engine.provider == "cuda":
        return engine.piece_images, seconds(engine.piece_images)
    return piece_rows(engine.piece_images, seconds)
