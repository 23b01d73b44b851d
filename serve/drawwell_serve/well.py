"""The engine behind the event loop: who is let in, and their images piece by piece."""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TypeVar

from drawwell import wire
from drawwell.engine import Engine
from drawwell.errors import ProviderError
from drawwell.pictures import Images

from .drawing import Drawing
from .errors import RETRY_SECONDS, ApiError
from .metrics import Metrics
from .scheduler import Flow, Scheduler
from .settings import Settings

Result = TypeVar("Result")

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
        self._rendered_by = {
            wire.DIGEST: self.engine.digest,
            wire.PROVIDER: self.engine.provider,
            wire.FINGERPRINT: self.engine.fingerprint,
        }
        self._requests = 0

    @contextlib.contextmanager
    def admitted(self, gone: Callable[[], bool]) -> Iterator[Flow]:
        """A place among the requests that are answered. Raises ``ApiError`` 429 or 503 where there is none in time."""
        self._check_room()
        self._requests += 1
        self.metrics.answering(self._requests)
        try:
            yield Flow(gone)
        finally:
            self._requests -= 1
            self.metrics.answering(self._requests)

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
                    yield await _taken(ahead.popleft(), flow)
            while ahead:
                yield await _taken(ahead.popleft(), flow)
        finally:
            for future in ahead:
                future.cancel()

    async def draw(self, drawing: Drawing, flow: Flow, then: Callable[[Images], Result]) -> Result:
        """What ``then`` makes of the images of a drawing that is one piece. Raises ``ClientGoneError`` once the client has left."""
        return await _taken(self._submit(drawing, flow, 0, lambda images, _: then(images)), flow)

    async def check(self) -> None:
        """Raise ``ApiError`` 503 unless images are drawn right: once drawing has failed, the known answers are drawn again."""
        if not self.scheduler.failed:
            return
        try:
            await asyncio.to_thread(self.engine.check)
        except ProviderError as error:
            logger.error("not ready: %s", error)
            message = "drawing fails here; the log says why"
            raise ApiError(503, "not_ready", message, headers={"Retry-After": str(RETRY_SECONDS)}) from None
        self.scheduler.failed = False

    def headers(self, drawing: Drawing) -> dict[str, str]:
        """What every reply with images says of them."""
        return drawing.about() | self._rendered_by

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

    def _check_room(self) -> None:
        settings, seconds = self.settings, self.scheduler.waiting_images / self.scheduler.images_a_second
        retry = {"Retry-After": str(max(1, math.ceil(seconds)))}
        if self._requests >= settings.queue_requests:
            raise ApiError(
                429, "too_many_requests", f"{self._requests} requests are being answered: come back", headers=retry
            )
        if self.scheduler.waiting_images >= settings.queue_images:
            waiting = f"{self.scheduler.waiting_images:,} images wait to be drawn: come back"
            raise ApiError(429, "too_many_images", waiting, headers=retry)
        if seconds > settings.deadline_seconds:
            late = f"a reply would begin in {seconds:.0f} seconds, which is after the deadline of {settings.deadline_seconds:g}"
            raise ApiError(503, "deadline", late, headers=retry)


async def _taken(future: "asyncio.Future[Result]", flow: Flow) -> Result:
    if flow.gone():
        raise ClientGoneError
    try:
        return await future
    except asyncio.CancelledError:
        if flow.gone():
            raise ClientGoneError from None
        raise
