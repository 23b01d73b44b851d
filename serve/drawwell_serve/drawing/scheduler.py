"""The fair queue in front of the engine: which request is drawn next, and which are drawn together.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996, equations 4 and 5): a piece of n
images of request r gets the start tag ``S = max(v, F_r)``, and r's finish tag becomes ``F_r = S + n``. The piece with the
least start tag is drawn next, and the virtual time ``v`` is the start tag of the piece that was drawn last. A single image
therefore overtakes a long request after the pieces under way, and no request waits for ever.
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
import numpy.typing as npt

from drawwell.engine.engine import Engine
from drawwell.engine.judge import PIECE_PICTURES, Judge
from drawwell.errors import DeviceMemoryError, ProviderError
from drawwell.generator import Images
from drawwell.image_request import Feeds, ImageRequest
from drawwell_serve.drawing.active_request import ActiveRequest
from drawwell_serve.metrics import Metrics

PIECE_SECONDS = 0.01
"""The longest time that one run should take: a new request waits for the runs under way."""


Rows = npt.NDArray[Any]
"""Images uint8 ``[n, H, W, C]``, or logits and class scores float32 ``[n, 1 + K]``."""
OnRows = Callable[[Any, int], Any]
"""Takes the rows of a piece, and the position of the first one in its request."""


@dataclass(frozen=True)
class _Work:
    """A kind of run: drawing, or judging. Pieces of one kind share runs."""

    run: Callable[[Feeds], Rows]
    most_rows: int
    ran: Callable[[int, list[float], float, float], None]
    """Counts a run."""


@dataclass(order=True)
class _Piece:
    """The images at positions ``first`` to ``last - 1`` of a request, to draw or to judge."""

    start: float
    order: int
    active: ActiveRequest = field(compare=False)
    work: _Work = field(compare=False)
    feeds: Callable[[], Feeds] = field(compare=False)
    first: int = field(compare=False)
    last: int = field(compare=False)
    on_rows: OnRows = field(compare=False)
    future: "asyncio.Future[Any]" = field(compare=False)
    submitted: float = field(compare=False, default_factory=time.perf_counter)

    @property
    def count(self) -> int:
        return self.last - self.first


class Scheduler:
    """Draws and judges pieces of many requests on as many threads as the engine has. One run may hold pieces of several requests.

    Args:
        engine: Draws the images. Its speed is measured here, and decides how many images a piece has.
        metrics: Counts the images, the runs and the queue.
        judge: Judges pictures, if there is a discriminator. Its speed is measured too.
    """

    def __init__(self, engine: Engine, metrics: Metrics, judge: Judge | None = None) -> None:
        self._engine, self._metrics, self._judge = engine, metrics, judge
        self.piece_images, seconds = _piece_of(engine)
        self.piece_pictures = 0 if judge is None else _piece_of_judge(judge)
        self._drawing = _Work(engine.draw, self.piece_images, metrics.drew)
        self._judging = None if judge is None else _Work(judge.logits, self.piece_pictures, metrics.judged)
        self.images_a_second = engine.threads * self.piece_images / seconds
        self.waiting_images, self.failed = 0, False
        self._heap: list[_Piece] = []
        self._virtual, self._order = 0.0, itertools.count()
        self._changed, self._closed = threading.Condition(), False
        # daemon threads: a process whose main thread fails must end, so that another one is started
        names = [f"draw-{number}" for number in range(engine.threads)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

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

        def feeds() -> Feeds:
            return request.part(places).feeds(self._engine.card)

        return self._queue(active, self._drawing, places, feeds, on_images)

    def submit_pictures(self, active: ActiveRequest, pictures: Images, places: slice) -> "asyncio.Future[Any]":
        """Queue a piece of ``pictures``, uint8 ``[N, H, W, C]``, to judge; at most ``piece_pictures`` of them.

        Returns a future of what ``Judge.logits`` says of them.
        """
        judge, work = self._judge, self._judging
        assert judge is not None and work is not None, "the route checks for a discriminator"
        return self._queue(active, work, places, lambda: judge.feeds(pictures[places]), lambda logits, _: logits)

    def _queue(
        self, active: ActiveRequest, work: _Work, places: slice, feeds: Callable[[], Feeds], on_rows: OnRows
    ) -> "asyncio.Future[Any]":
        future = asyncio.get_running_loop().create_future()
        first, last = places.start, places.stop
        with self._changed:
            start = max(self._virtual, active.finish)
            active.finish = start + last - first
            piece = _Piece(start, next(self._order), active, work, feeds, first, last, on_rows, future)
            heapq.heappush(self._heap, piece)
            self.waiting_images += piece.count
            # under the lock: otherwise an older number could be set last, and stay
            self._metrics.waiting(self.waiting_images)
            self._changed.notify()
        return future

    def close(self) -> None:
        """Draw and judge the pieces in the queue, then end the threads."""
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
                self.waiting_images -= piece.count
                self._virtual = piece.start
                if piece.future.cancelled() or piece.active.is_disconnected():
                    _deliver([piece], [asyncio.CancelledError()])
                else:
                    run.append(piece)
                    room -= piece.count
            self._metrics.waiting(self.waiting_images)
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
            self.failed |= isinstance(error, ProviderError) and not isinstance(error, DeviceMemoryError)
            _deliver(run, [error] * len(run))
            return
        _deliver(run, results)
        work.ran(len(rows), [began - piece.submitted for piece in run], drawn - began, time.perf_counter() - drawn)
        rate = self._engine.threads * len(rows) / (drawn - began)
        self.images_a_second += 0.05 * (rate - self.images_a_second)


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
    """The number of images in a piece, halved until one run takes at most ``PIECE_SECONDS``, and the seconds of that run.

    A device pads every run to one shape, so fewer images would take as long there.
    """
    if engine.provider == "cuda":
        return engine.piece_images, _seconds(engine.draw, engine.feeds(0, range(engine.piece_images)))
    return _halved(engine.piece_images, lambda images: _seconds(engine.draw, engine.feeds(0, range(images))))


def _piece_of_judge(judge: Judge) -> int:
    def seconds(pictures: int) -> float:
        return _seconds(judge.logits, judge.feeds(np.zeros((pictures, *judge.card.image_shape), np.uint8)))

    return _halved(PIECE_PICTURES, seconds)[0]


def _halved(rows: int, seconds_of: Callable[[int], float]) -> tuple[int, float]:
    while (seconds := seconds_of(rows)) > PIECE_SECONDS and rows > 1:
        rows //= 2
    return rows, seconds


def _seconds(run: Callable[[Feeds], Rows], feeds: Feeds) -> float:
    """The least of three times, in seconds."""
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        run(feeds)
        taken.append(time.perf_counter() - begin)
    return min(taken)
