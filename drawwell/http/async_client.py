"""A generator behind HTTP for an event loop: the calls of ``Client``, to await."""

from collections.abc import Sequence
from typing import Any, Self

from drawwell.addresses.arguments import Indices
from drawwell.files.card import ModelCard
from drawwell.files.labels import LabelChoice
from drawwell.generator import Batch
from drawwell.http.async_connections import AsyncConnections
from drawwell.http.core import TIMEOUT_SECONDS, Core, Settings, short
from drawwell.http.keys import Key


class AsyncClient:
    """A generator on a drawwell server, or on several, for asyncio. It retries, verifies and gives up as ``Client`` does.

    Any number of tasks of one event loop may call. A call that is cancelled closes its connection. A client that was opened in
    one event loop serves no other, except in a forked process, which makes its own connections.

    Example:
        >>> import asyncio
        >>> async def draw():
        ...     async with drawwell.AsyncClient("http://127.0.0.1:3000", timeout=10) as client:
        ...         return await client.generate(seed=7, count=4)
        >>> asyncio.run(draw()).images.shape
        (4, 28, 28, 1)
    """

    def __init__(
        self,
        url: str | Sequence[str],
        timeout: float = TIMEOUT_SECONDS,
        retry_for: float | None = None,
        *,
        key: Key | None = None,
        digest: str | None = None,
        pin: bool = True,
    ) -> None:
        """Check the arguments, which are the arguments of ``Client``; ``async with`` connects.

        Raises:
            RequestError: The URL, the seconds, the digest or the key are wrong, or an environment variable is wrong.
        """
        self._core = Core(AsyncConnections, Settings(url, timeout, retry_for, key, digest, pin))

    async def open(self) -> Self:
        """Connect, and ask the server for its card. ``async with`` does this. Raises as ``Client`` does."""
        try:
            await short(self._core.open())
        except BaseException:
            await self.close()
            raise
        return self

    @property
    def card(self) -> ModelCard:
        """The model card: image size, classes, training data and measured quality. Raises ``RequestError`` before ``open``."""
        return self._core.model.card

    @property
    def digest(self) -> str:
        """SHA-256 of the generator file, 64 hex digits. Raises ``RequestError`` before ``open``."""
        return self._core.model.digest

    async def generate(
        self,
        seed: int,
        count: int | None = None,
        start: int = 0,
        *,
        indices: Indices | None = None,
        labels: LabelChoice | None = None,
    ) -> Batch:
        """Draw images by their addresses; ``ImageGenerator.generate`` describes the arguments.

        Raises:
            RequestError: A seed, an index, a count or a label is out of range, the batch does not fit into memory, the server
                refuses the request, or the client is closed or not open.
            ServerError: The server did not send the whole, right batch within ``retry_for`` seconds.
        """
        return await short(self._core.generate(seed, count, start, indices, labels))

    async def close(self) -> None:
        """Close the connections. The client draws no more."""
        await self._core.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._core.pickled,)


def _reopen(settings: Settings) -> AsyncClient:
    return AsyncClient(
        settings.url,
        settings.timeout,
        settings.retry_for,
        key=settings.key,
        digest=settings.digest,
        pin=settings.pin,
    )
