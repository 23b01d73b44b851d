"""A generator behind HTTP for an event loop: the calls of ``Client``, to await."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from drawwell.addresses.arguments import Indices
from drawwell.addresses.scale import check_scale
from drawwell.files.budgets import LabelBudgets
from drawwell.files.card import ModelCard
from drawwell.files.labels import LabelChoice
from drawwell.files.selection import Selection
from drawwell.generator import Address, Batch, Latents
from drawwell.http.async_connections import AsyncConnections
from drawwell.http.core import TIMEOUT_SECONDS, Core, Settings, short
from drawwell.http.keys import Key
from drawwell.image_request import GenerateArguments


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
        seed: int | None = None,
        count: int | None = None,
        start: int = 0,
        *,
        indices: Indices | None = None,
        labels: LabelChoice | None = None,
        per_class: LabelBudgets | None = None,
        selection: Selection | str | Path | None = None,
        truncation: float = 1.0,
        spread: float = 1.0,
        latents: Latents | None = None,
    ) -> Batch:
        """Draw images by their addresses; ``ImageGenerator.generate`` describes the arguments.

        The client finds the indices of ``per_class`` and the latents of ``interpolate`` itself, and sends them.

        Raises:
            SelectionError: The selection is of another generator, or its file is no whole selection.
            RequestError: An argument is wrong, arguments exclude each other, the batch does not fit into memory, the server
                refuses the request, or the client is closed or not open.
            ServerError: The server did not send the whole, right batch within ``retry_for`` seconds.
        """
        arguments = GenerateArguments(
            seed, count, start, indices, labels, per_class, selection, truncation, spread, latents
        )
        return await short(self._core.generate(arguments))

    async def interpolate(
        self,
        first: Address,
        last: Address,
        steps: int,
        *,
        labels: LabelChoice | None = None,
        truncation: float = 1.0,
        spread: float = 1.0,
    ) -> Batch:
        """Draw the images between two addresses; ``ImageGenerator.interpolate`` describes the arguments. Raises as ``generate``."""
        scale = check_scale(truncation, spread)
        return await short(self._core.interpolate(first, last, steps, labels, scale))

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
    client = AsyncClient.__new__(AsyncClient)
    client._core = Core(AsyncConnections, settings)
    return client
