"""What every client does, written once as coroutines: check the arguments, ask, check the reply, retry, and go to the next server."""

import functools
import numbers
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from drawwell.addresses.scale import Scale
from drawwell.errors import DrawwellError, RequestError, ResponseError
from drawwell.files.labels import LabelChoice
from drawwell.generator import Address, Batch, Images, allocate
from drawwell.http.connections import Connections
from drawwell.http.exchange import Exchange
from drawwell.http.keys import Key, authorizations
from drawwell.http.lookahead import Lookahead
from drawwell.http.retries import retry
from drawwell.http.server import Model, Server
from drawwell.http.servers import Servers
from drawwell.image_request import GenerateArguments, ImageRequest, of_interpolation
from drawwell.text import printable

Result = TypeVar("Result")

TIMEOUT_SECONDS, RETRY_SECONDS = 30.0, 60.0

_MAX_SECONDS = 10**6
"""Eleven days; sockets take no timeout that is much longer."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Settings:
    """The arguments of a client, as it was given them. They make it again in another process.

    ``found`` is the generator of the client that was pickled; ``digest`` the one that the user named.
    """

    url: str | Sequence[str]
    timeout: float
    retry_for: float | None
    key: Key | None
    digest: str | None
    pin: bool
    found: str | None = None


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
        is_pinned = settings.digest is not None
        servers = [
            Server(connections, url, settings.timeout, key, is_pinned) for url, key in zip(urls, keys, strict=True)
        ]
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
        return replace(settings, found=self._model.digest)

    async def open(self) -> None:
        """Ask for the generator. Raises ``RequestError`` or ``ServerError``."""
        digest = self._settings.digest or self._settings.found
        self._model = await self._retry(lambda ends: self._servers.model(digest, ends))

    async def generate(self, arguments: GenerateArguments) -> Batch:
        """Return the images that the arguments name."""
        return await self._answer(lambda model: arguments.check(model.card, model.digest))

    async def interpolate(
        self, first: Address, last: Address, steps: int, labels: LabelChoice | None, scale: Scale
    ) -> Batch:
        """Return the images between two addresses; ``ImageGenerator.interpolate`` describes the arguments."""
        return await self._answer(lambda model: of_interpolation(first, last, steps, labels, scale, model.card))

    async def close(self) -> None:
        """Close the connections."""
        self._is_closed = True
        await self._servers.close()

    async def _answer(self, check: Callable[[Model], ImageRequest]) -> Batch:
        """Draw what ``check`` names, once more for the new generator if the servers changed it and the client follows."""
        try:
            return await self._draw(self.model, check(self.model))
        except ResponseError as error:
            if self._settings.pin or error.digest is None:
                raise
        await self.open()
        return await self._draw(self.model, check(self.model))

    async def _draw(self, model: Model, request: ImageRequest) -> Batch:
        images = allocate(len(request), model.card)
        await self._fill(images, [*Exchange(request, model.card).pieces(model.max_count)], model.digest)
        return request.batch(images, model.card, model.digest)

    async def _fill(self, images: Images, requests: Sequence[Exchange], digest: str) -> None:
        lookahead, filled = Lookahead(self._connections, requests, digest, self._retry_for), 0
        try:
            for place, request in enumerate(requests):
                end = filled + len(request)
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
