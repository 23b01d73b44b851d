"""The engine behind the event loop: who is let in, and their images piece by piece."""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TypeVar

import deflate  # noqa: F401 - now: when a request comes, connections may have taken every descriptor that loading it needs

from drawwell.engine.engine import Engine
from drawwell.errors import ProviderError
from drawwell.generator import Images
from drawwell.http import protocol as wire
from drawwell.text import printable
from drawwell_serve.drawing.body_memory import Bodies
from drawwell_serve.drawing.image_request import Drawing
from drawwell_serve.drawing.scheduler import Flow, Scheduler
from drawwell_serve.errors import RETRY_SECONDS, ApiError
from drawwell_serve.metrics import Metrics, refused
from drawwell_serve.settings import Settings

Result = TypeVar("Result")

MOST_RETRY_SECONDS = 60

MOST_LENGTHS = 2
"""Of long replies that a worker draws at once only to learn their length."""

logger = logging.getLogger("drawwell.serve")


class ClientGoneError(Exception):
    """Whoever asked has left; nobody reads a reply."""


class Well:
    """Draws for many requests at once, up to the limits of its settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.has_key = settings, settings.key() is not None
        self.engine = Engine(settings.file, settings.provider, settings.threads_of_worker)
        self.metrics = Metrics(self.engine)
        self.scheduler = Scheduler(self.engine, self.metrics)
        self.most_images = settings.queue_images or _room_for_images(settings, self.engine, self.scheduler)
        self.fingerprint = self.engine.fingerprint
        self._rendered_by = {
            wire.DIGEST: self.engine.digest,
            wire.PROVIDER: self.engine.provider,
            wire.FINGERPRINT: self.fingerprint,
        }
        self.bodies = Bodies()
        self._flows, self._held_images, self._left_images = set[Flow](), 0, 0
        self._checking: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def admitted(
        self,
        gone: Callable[[], bool],
        images: int = 0,
        is_whole: bool = False,
        cut: Callable[[], None] = lambda: None,
    ) -> Iterator[Flow]:
        """A place among the requests that are answered, and room for the images of a reply that is made whole in memory.

        ``gone`` tells whether the client has left, ``cut`` ends its connection. Raises ``ApiError`` 429 or 503 where there is none
        in time.
        """
        self.check_room()
        if self._is_full() and (last := self._least_urgent()) is not None:
            self._end(last)
        flow = Flow(gone, images, images if is_whole else 0, cut)
        self._flows.add(flow)
        self._count(flow.held, images)
        try:
            yield flow
        finally:
            self._flows.discard(flow)
            self._count(-flow.held, -flow.left)

    @contextlib.contextmanager
    def finding_length(self, flow: Flow) -> Iterator[None]:
        """Count ``flow`` as one that is drawn only to learn its length. Raises ``ApiError`` 429 where that is done for others."""
        if sum(other.finds_length for other in self._flows) >= MOST_LENGTHS:
            message = "the length of other long replies is being found: come back, or ask for the whole without a Range"
            raise ApiError(429, "too_many_requests", message, headers=self.retry_after())
        flow.finds_length = True
        try:
            yield
        finally:
            flow.finds_length = False

    def let_go(self, flow: Flow) -> None:
        """The images of a reply that is made whole are its body now, however slowly that is read."""
        self._count(-flow.held, 0)
        flow.held = 0

    async def stream(
        self, drawing: Drawing, flow: Flow, then: Callable[[Images, int], Result]
    ) -> AsyncGenerator[Result, None]:
        """Yield what ``then`` makes of each piece, uint8 ``[n, H, W, C]`` and the position of its first image, in order.

        One piece for each of the engine's threads is drawn ahead, and no more until one was taken: memory stays bounded.
        Raises ``ClientGoneError`` once the client has left.
        """
        ahead: deque[asyncio.Future[Result]] = deque()
        try:
            for first in range(0, len(drawing), self.scheduler.piece_images):
                ahead.append(self._submit(drawing, flow, first, then))
                if len(ahead) > self.engine.threads:
                    yield await self._taken(ahead.popleft(), flow)
            while ahead:
                yield await self._taken(ahead.popleft(), flow)
        finally:
            for future in ahead:
                future.cancel()

    async def draw(self, drawing: Drawing, flow: Flow, then: Callable[[Images], Result]) -> Result:
        """What ``then`` makes of the images of a drawing that is one piece. Raises ``ClientGoneError`` once the client has left."""
        return await self._taken(self._submit(drawing, flow, 0, lambda images, _: then(images)), flow)

    async def check(self) -> None:
        """Raise ``ApiError`` 503 unless images are drawn right: once drawing has failed, the known answers are drawn again."""
        if self._checking is None or self._checking.done():
            if not self.scheduler.failed:
                return
            self._checking = asyncio.create_task(self._check_again())
        try:
            await asyncio.shield(self._checking)  # one at a time, however many ask
        except ProviderError:
            message = "drawing fails here; the log says why"
            raise ApiError(503, "not_ready", message, headers={"Retry-After": str(RETRY_SECONDS)}) from None

    def headers(self, drawing: Drawing) -> dict[str, str]:
        """What every reply with images says of them."""
        return drawing.about() | self._rendered_by

    def in_words(self) -> str:
        """What is served, for the log of a start."""
        engine = self.engine
        return (
            f"{printable(engine.card.name)} ({engine.digest[:12]}) on {engine.provider} with {engine.threads} threads"
        )

    def close(self) -> None:
        self.scheduler.close()
        self.engine.close()

    def _submit(
        self, drawing: Drawing, flow: Flow, first: int, then: Callable[[Images, int], Result]
    ) -> "asyncio.Future[Result]":
        last = min(first + self.scheduler.piece_images, len(drawing))
        return self.scheduler.submit(
            flow, last - first, lambda: drawing.feeds(self.engine, first, last), lambda images: then(images, first)
        )

    def retry_after(self) -> dict[str, str]:
        """When there will be room: once all that was let in is drawn, be it piece by piece; of long streams the next minute counts."""
        seconds = max(self._left_images, self.scheduler.waiting_images) / self.scheduler.images_a_second
        return {"Retry-After": str(math.ceil(min(max(1, seconds), MOST_RETRY_SECONDS)))}

    def check_room(self) -> None:
        """Raise ``ApiError`` 429 where there is no room for a request, and 503 where its reply would begin too late."""
        settings, seconds, retry = self.settings, self._seconds_of_queue(), self.retry_after()
        if self._is_full() and self._least_urgent() is None:
            answered = f"{len(self._flows)} requests are being answered: come back"
            raise ApiError(429, "too_many_requests", answered, headers=retry)
        images, most = max(self.scheduler.waiting_images, self._held_images), self.most_images
        if images >= most:
            waiting = f"{images:,} images wait to be drawn: come back"
            raise ApiError(429, "too_many_images", waiting, headers=retry)
        if seconds > settings.deadline_seconds:
            late = f"a reply would begin in {seconds:.0f} seconds, which is after the deadline of {settings.deadline_seconds:g}"
            raise ApiError(503, "deadline", late, headers=retry)

    def _seconds_of_queue(self) -> float:
        return self.scheduler.waiting_images / self.scheduler.images_a_second

    def _is_full(self) -> bool:
        return len(self._flows) >= self.settings.queue_requests

    def _least_urgent(self) -> Flow | None:
        """A reply whose length is being found, else the one with the slowest reader among those that wait for their readers."""
        if lengths := [flow for flow in self._flows if flow.finds_length]:
            return lengths[0]
        slow = [flow for flow in self._flows if flow.waits_for_client()]
        return min(slow, key=Flow.bytes_a_second, default=None)

    def _end(self, flow: Flow) -> None:
        """Break a reply off and free its place. The client can ask for the rest later."""
        self._flows.discard(flow)
        refused("unknown_length" if flow.finds_length else "slow_reader")
        flow.cut()

    def _count(self, held_images: int, left_images: int) -> None:
        self._held_images += held_images
        self._left_images += left_images
        self.metrics.answering(len(self._flows))

    async def _taken(self, future: "asyncio.Future[Result]", flow: Flow) -> Result:
        if flow.gone():
            raise ClientGoneError
        try:
            result = await future
        except asyncio.CancelledError:
            if flow.gone():
                raise ClientGoneError from None
            raise
        drawn = min(self.scheduler.piece_images, flow.left)
        flow.left -= drawn
        self._left_images -= drawn
        return result

    async def _check_again(self) -> None:
        self.scheduler.failed = False  # before, so that a failure meanwhile is not forgotten
        try:
            await asyncio.to_thread(self.engine.check)
        except ProviderError as error:
            self.scheduler.failed = True
            logger.error("not ready: %s", error)
            raise


def _room_for_images(settings: Settings, engine: Engine, scheduler: Scheduler) -> int:
    """What the requests hold ahead when all are long ones: streams that nobody reads do not shut out the short ones."""
    return max(8192, settings.queue_requests * (engine.threads + 1) * scheduler.piece_images)
