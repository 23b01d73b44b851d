"""The engine behind the event loop: admits requests, and draws their images piece by piece."""

import asyncio
import contextlib
import functools
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

# loaded at the start: later, connections may have taken every descriptor that loading it needs
import deflate  # noqa: F401

from drawwell.engine.engine import Engine
from drawwell.files.directions import directions_of
from drawwell.files.generator_file import read_generator
from drawwell.generator import Images
from drawwell.http import protocol as wire
from drawwell.image_request import ImageRequest
from drawwell.pieces import slices
from drawwell.text import printable
from drawwell_serve.drawing.active_request import ActiveRequest
from drawwell_serve.drawing.body_memory import Bodies
from drawwell_serve.drawing.judge_service import JudgeService, open_judge_service
from drawwell_serve.drawing.readiness import Readiness
from drawwell_serve.drawing.scheduler import Scheduler
from drawwell_serve.drawing.work import Work
from drawwell_serve.errors import RETRY_SECONDS, ApiError
from drawwell_serve.judge_file import discriminator_of
from drawwell_serve.metrics import Metrics, refused
from drawwell_serve.settings import Settings

Result = TypeVar("Result")
Pieces = AsyncIterator[tuple["asyncio.Future[Any]", int]]
"""The pieces of a request as they are queued: the future of each, and its images."""

MOST_RETRY_SECONDS = 60

MOST_LENGTHS = 2
"""Long replies that a worker draws at once only to learn their length."""


class ClientDisconnectedError(Exception):
    """The client has left, so the reply is not drawn to its end."""


class ImageService:
    """Draws and judges for many requests at once, up to the limits of its settings.

    Args:
        settings: The generator, the provider, the threads and the limits.

    Raises:
        DrawwellError: The key, the generator file or the provider cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.has_key = settings, settings.key() is not None
        self.engine = Engine(settings.file, settings.provider, settings.threads_of_worker)
        self.directions = directions_of(read_generator(settings.file))
        """The directions of each generator in the file, in order."""
        self.metrics = Metrics(self.engine)
        self.scheduler = Scheduler(self.engine, self.metrics)
        self._readiness = Readiness(self.scheduler.drawing, self.engine.check, _cannot_draw)
        self.discriminator = discriminator_of(settings)
        """The file of the discriminator; None if there is none."""
        self.judging = self._open_judge()
        """None without a discriminator, or with one that cannot be used: drawing does without it."""
        self.max_queued_images = settings.queue_images or _default_max_queued_images(
            settings, self.engine, self.scheduler
        )
        self.fingerprint = self.engine.fingerprint
        self.headers = {
            wire.DIGEST: self.engine.digest,
            wire.PROVIDER: self.engine.provider,
            wire.FINGERPRINT: self.fingerprint,
        }
        """The headers of every reply with images that name the generator and the software that drew them."""
        self.bodies = Bodies()
        self._active, self._held_images, self._left_seconds = set[ActiveRequest](), 0, 0.0

    def _open_judge(self) -> JudgeService | None:
        if self.discriminator is None:
            return None
        return open_judge_service(self.discriminator, self.engine.digest, self.scheduler, self.metrics)

    @contextlib.contextmanager
    def admit(
        self,
        images: int = 0,
        is_whole: bool = False,
        is_disconnected: Callable[[], bool] = lambda: False,
        abort: Callable[[], None] = lambda: None,
        work: Work | None = None,
    ) -> Iterator[ActiveRequest]:
        """Give a request a place until the end of the ``with`` block.

        Args:
            images: Images that will be drawn or judged.
            is_whole: Whether the reply is built in memory as a whole, so that all its images count as held.
            is_disconnected: Whether the client has left.
            abort: Closes the client's connection at once.
            work: What the request waits for, by default drawing.

        Raises:
            ApiError: 429 if there is no place or no room for images, 503 if the reply would begin too late.
        """
        self.check_room()
        if self._is_full() and (last := self._least_urgent()) is not None:
            self._break_off(last)
        held = images if is_whole else 0
        active = ActiveRequest(work or self.scheduler.drawing, is_disconnected, abort, images, held)
        self._active.add(active)
        self._count(active, held, images)
        try:
            yield active
        finally:
            self._active.discard(active)
            self._count(active, -active.images_held, -active.images_left)

    @contextlib.contextmanager
    def finding_length(self, active: ActiveRequest) -> Iterator[None]:
        """Mark ``active`` as a request that is drawn only to learn its length. Raises ``ApiError`` 429 if too many are."""
        if sum(other.finds_length for other in self._active) >= MOST_LENGTHS:
            message = (
                f"the server is finding the length of {MOST_LENGTHS} other long replies: "
                "send the request again later, or without a Range"
            )
            raise ApiError(429, "too_many_requests", message, headers=self.retry_after())
        active.finds_length = True
        try:
            yield
        finally:
            active.finds_length = False

    @contextlib.asynccontextmanager
    async def deadline(self, advice: str = "send it again later") -> AsyncIterator[None]:
        """Bound the time until a reply begins. Raises ``ApiError`` 503 after ``deadline_seconds``, with ``advice``."""
        seconds = self.settings.deadline_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            late = f"the reply did not begin within {seconds:g} seconds, since too many requests wait: {advice}"
            raise ApiError(503, "deadline", late, headers=self.retry_after()) from None

    def release_images(self, active: ActiveRequest) -> None:
        """Stop counting the images of a whole reply as held: they are encoded, and only its body waits for the client."""
        self._count(active, -active.images_held, 0)
        active.images_held = 0

    async def stream(
        self, request: ImageRequest, active: ActiveRequest, on_images: Callable[[Images, int], Result]
    ) -> AsyncGenerator[Result, None]:
        """Draw a request piece by piece.

        One piece for each of the engine's threads is drawn ahead, and no more until one was yielded, so memory stays bounded.

        Args:
            request: The images.
            active: The admitted request.
            on_images: Called on a drawing thread with the images of each piece, uint8 ``[n, H, W, C]``, and the position of
                the first one.

        Yields:
            The values that ``on_images`` returns, in order.

        Raises:
            ClientDisconnectedError: The client has left.
        """
        submit = functools.partial(self.scheduler.submit, active, request, on_images=on_images)
        places = slices(len(request), self.scheduler.piece_images)
        async with contextlib.aclosing(self.in_order(_queued(places, submit), active)) as results:
            async for result in results:
                yield result

    async def in_order(self, pieces: Pieces, active: ActiveRequest) -> AsyncGenerator[Any, None]:
        """Yield the result of each piece. One for each of the engine's threads is ahead. Raises ``ClientDisconnectedError``."""
        ahead: deque[tuple[asyncio.Future[Any], int]] = deque()
        try:
            async for piece in pieces:
                ahead.append(piece)
                if len(ahead) > self.engine.threads:
                    yield await self._result(*ahead.popleft(), active)
            while ahead:
                yield await self._result(*ahead.popleft(), active)
        finally:
            for future, _ in ahead:
                future.cancel()

    async def draw(
        self, request: ImageRequest, active: ActiveRequest, on_images: Callable[[Images, int], Result]
    ) -> Result:
        """Draw a request that is one piece, and return the value of ``on_images``. Raises as ``stream`` does."""
        future = self.scheduler.submit(active, request, slice(0, len(request)), on_images)
        return cast(Result, await self._result(future, len(request), active))

    async def check(self) -> None:
        """Raise ``ApiError`` 503 if drawing has failed and the known answers of the generator do not come out right now."""
        await self._readiness.check()

    def in_words(self) -> str:
        """The generator and where it is drawn, for the log."""
        engine = self.engine
        threads = "1 thread" if engine.threads == 1 else f"{engine.threads} threads"
        return f"{printable(engine.card.name)} ({engine.digest[:12]}) on {engine.provider}, {threads}"

    def close(self) -> None:
        """Draw and judge the pieces in the queue, then free the engine and the judge."""
        self.scheduler.close()
        self.engine.close()
        if self.judging is not None:
            self.judging.close()

    def retry_after(self) -> dict[str, str]:
        """The header that says when there will be room: after the admitted images are drawn, but at most in a minute."""
        seconds = max(self._left_seconds / self.engine.threads, self._seconds_of_queue())
        return {"Retry-After": str(math.ceil(min(max(1, seconds), MOST_RETRY_SECONDS)))}

    def check_room(self) -> None:
        """Raise ``ApiError`` 429 if there is no room for a request, and 503 if its reply would begin too late."""
        settings, seconds, retry = self.settings, self._seconds_of_queue(), self.retry_after()
        if self._is_full() and self._least_urgent() is None:
            answered = f"the server is answering {len(self._active)} requests, which is its limit: send the request again later"
            raise ApiError(429, "too_many_requests", answered, headers=retry)
        images = max(self.scheduler.waiting_images, self._held_images)
        if images >= self.max_queued_images:
            waiting = f"{images:,} images and pictures wait, which is the server's limit: send the request again later"
            raise ApiError(429, "too_many_images", waiting, headers=retry)
        if seconds > settings.deadline_seconds:
            late = (
                f"the reply would begin in {seconds:.0f} seconds, after the deadline of {settings.deadline_seconds:g}: "
                "send the request again later"
            )
            raise ApiError(503, "deadline", late, headers=retry)

    def _seconds_of_queue(self) -> float:
        return self.scheduler.waiting_seconds / self.engine.threads

    def _is_full(self) -> bool:
        return len(self._active) >= self.settings.queue_requests

    def _least_urgent(self) -> ActiveRequest | None:
        """A request whose length is being found, otherwise the slowest reader of the replies that wait for their clients."""
        if lengths := [active for active in self._active if active.finds_length]:
            return lengths[0]
        slow = [active for active in self._active if active.waits_for_client()]
        return min(slow, key=ActiveRequest.bytes_a_second, default=None)

    def _break_off(self, active: ActiveRequest) -> None:
        """End a reply early and free its place. The client can ask for the rest later."""
        self._active.discard(active)
        refused("unknown_length" if active.finds_length else "slow_reader")
        active.abort()

    def _count(self, active: ActiveRequest, held_images: int, left_images: int) -> None:
        self._held_images += held_images
        self._left_seconds += left_images * active.row_seconds
        self.metrics.answering(len(self._active))

    async def _result(self, future: "asyncio.Future[Any]", images: int, active: ActiveRequest) -> Any:
        """Wait for a piece, and count its images as drawn or judged."""
        if active.is_disconnected():
            raise ClientDisconnectedError
        try:
            result = await future
        except asyncio.CancelledError:
            if active.is_disconnected():
                raise ClientDisconnectedError from None
            raise
        active.images_left -= images
        self._left_seconds -= images * active.row_seconds
        return result


async def _queued(places: Iterable[slice], submit: "Callable[[slice], asyncio.Future[Any]]") -> Pieces:
    for some in places:
        yield submit(some), some.stop - some.start


def _default_max_queued_images(settings: Settings, engine: Engine, scheduler: Scheduler) -> int:
    """The images that all requests hold ahead if all are streams, so that streams that nobody reads cannot shut out short requests."""
    return max(8192, settings.queue_requests * (engine.threads + 1) * scheduler.piece_images)


def _cannot_draw() -> ApiError:
    message = "the server cannot draw images now; its log says why"
    return ApiError(503, "not_ready", message, headers={"Retry-After": str(RETRY_SECONDS)})
