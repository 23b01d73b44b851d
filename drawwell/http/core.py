"""What every client does, written once as coroutines: check the arguments, ask, check the reply, retry, and go to the next server."""

import functools
import numbers
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from drawwell.addresses.arguments import CheckedIndices, Indices, check_address
from drawwell.errors import DrawwellError, RequestError, ResponseError
from drawwell.files.labels import LabelChoice, check_labels, labels_of
from drawwell.generator import Batch, Images, allocate
from drawwell.http.connections import Connections
from drawwell.http.image_request import ImageRequest
from drawwell.http.keys import Key, authorizations
from drawwell.http.lookahead import Lookahead
from drawwell.http.retries import retry
from drawwell.http.server import Model, Server
from drawwell.http.servers import Servers
from drawwell.text import printable

Result = TypeVar("Result")

TIMEOUT_SECONDS, RETRY_SECONDS = 30.0, 60.0

_MAX_SECONDS = 10**6
"""Eleven days; sockets take no timeout that is much longer."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Settings:
    """The arguments of a client, as it was given them. They make it again in another process."""

    url: str | Sequence[str]
    timeout: float
    retry_for: float | None
    key: Key | None
    digest: str | None
    pin: bool


class Core:
    """A client without its calls. ``connections`` is how it waits."""

    def __init__(self, connections: type[Connections], settings: Settings) -> None:
        """Raise ``RequestError`` for a wrong argument, and for a wrong environment variable."""
        self._connections, self._settings = connections, settings
        _check_seconds("timeout", settings.timeout)
        self._retry_for = _retry_seconds(settings.retry_for)
        _check_digest(settings)
        urls = _check_urls(settings.url)
        keys = authorizations(urls, settings.key)
        servers = [Server(connections, url, settings.timeout, key) for url, key in zip(urls, keys, strict=True)]
        self._servers = Servers(servers, follows=not settings.pin)
        self._model: Model | None = None
        self._is_closed = False

    @property
    def model(self) -> Model:
        """The generator that the servers have. Raises ``RequestError`` before ``open`` and after ``close``."""
        if self._model is None:
            raise RequestError("this client is not open yet: use it in `async with`")
        return self._model

    @property
    def pickled(self) -> Settings:
        """What makes this client again, with the same generator, unless it follows new ones."""
        settings = self._settings
        if self._model is None or not settings.pin:
            return settings
        return replace(settings, digest=self._model.digest)

    async def open(self) -> None:
        """Ask for the generator. Raises ``RequestError`` or ``ServerError``."""
        digest = self._settings.digest
        self._model = await self._retry(lambda ends: self._servers.model(digest, ends))

    async def generate(
        self, seed: int, count: int | None, start: int, indices: Indices | None, labels: LabelChoice | None
    ) -> Batch:
        """Return the images of these addresses; ``ImageGenerator.generate`` describes the arguments."""
        seed, chosen = check_address(seed, count, start, indices)
        try:
            return await self._draw(self.model, seed, chosen, labels)
        except ResponseError as error:
            if self._settings.pin or error.digest is None:
                raise
        await self.open()
        return await self._draw(self.model, seed, chosen, labels)

    async def close(self) -> None:
        """Close the connections."""
        self._is_closed = True
        await self._servers.close()

    async def _draw(self, model: Model, seed: int, chosen: CheckedIndices, labels: LabelChoice | None) -> Batch:
        given = check_labels(model.card, labels, len(chosen))
        images = allocate(len(chosen), model.card)
        requests = [*ImageRequest(seed, chosen, given, model.card.image_shape).pieces(model.max_count)]
        await self._fill(images, requests, model.digest)
        return Batch(images, labels_of(model.card, seed, chosen, given), seed, chosen, model.digest)

    async def _fill(self, images: Images, requests: Sequence[ImageRequest], digest: str) -> None:
        lookahead, filled = Lookahead(self._connections, requests, digest, self._retry_for), 0
        try:
            for place, request in enumerate(requests):
                end = filled + len(request.indices)
                images[filled:end] = await self._retry(functools.partial(self._attempt, lookahead, place))
                filled = end
        finally:
            await lookahead.close()

    async def _attempt(self, lookahead: Lookahead, place: int, ends: float) -> Images:
        if self._is_closed:
            raise RequestError("this generator is closed: open it again")
        return await self._servers.first(lambda server: lookahead.images(place, server, ends))

    async def _retry(self, call: Callable[[float], Awaitable[Result]]) -> Result:
        return await retry(call, self._retry_for, self._connections.sleep)


async def short(work: Awaitable[Result]) -> Result:
    """Await ``work``; an error of ours keeps its sentence, and loses the calls in which it was found."""
    try:
        return await work
    except DrawwellError as error:
        raise error.with_traceback(None) from None


def _check_urls(url: str | Sequence[str]) -> list[str]:
    urls = [*url] if isinstance(url, Sequence) and not isinstance(url, str) else [url]
    if not urls or not all(isinstance(one, str) for one in urls):
        raise RequestError(f"url must be the URL of a server, or a list of at least one, not {printable(repr(url))}")
    return urls


def _check_digest(settings: Settings) -> None:
    digest = settings.digest
    if digest is not None and not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise RequestError(f"digest must be a SHA-256, 64 hex digits in small letters, not {printable(repr(digest))}")
    if digest is not None and not settings.pin:
        raise RequestError("digest pins a generator, and pin=False follows new ones: give one of the two")


def _retry_seconds(seconds: float | None) -> float:
    """The argument, or else the variable DRAWWELL_RETRY_FOR, or else a minute."""
    if seconds is not None:
        return _check_seconds("retry_for", seconds, or_none=True)
    value = os.environ.get("DRAWWELL_RETRY_FOR")
    if value is None:
        return RETRY_SECONDS
    try:
        return _check_seconds("DRAWWELL_RETRY_FOR", float(value), or_none=True)
    except ValueError:
        raise _wrong_seconds("DRAWWELL_RETRY_FOR", value, or_none=True) from None


def _check_seconds(name: str, seconds: float, or_none: bool = False) -> float:
    is_number = isinstance(seconds, numbers.Real) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= _MAX_SECONDS or (seconds == 0 and not or_none):
        raise _wrong_seconds(name, seconds, or_none)
    return seconds


def _wrong_seconds(name: str, seconds: object, or_none: bool) -> RequestError:
    least = "0 or more" if or_none else "more than 0"
    return RequestError(
        f"{name} must be in seconds, {least} and at most {_MAX_SECONDS:,}, not {printable(repr(seconds))}"
    )
