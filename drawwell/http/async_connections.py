"""The connections to one server in an event loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import httpcore

from drawwell import forking
from drawwell.errors import RequestError
from drawwell.http.connections import IDLE_SECONDS, TOO_LONG, Deadline

if TYPE_CHECKING:
    import ssl

Result = TypeVar("Result")

_THREAD_BYTES = 2**20
"""Hashing fewer takes a millisecond or two, in which an event loop may stand still."""


class AsyncConnections:
    """The connections to one server, for any number of tasks of one event loop."""

    def __init__(self, proxy: httpcore.Proxy | None, certificates: "ssl.SSLContext | None") -> None:
        self._proxy, self._certificates = proxy, certificates
        self._pool = self._new_pool()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def until(self, ends: float) -> Iterator[Deadline]:
        with anyio.CancelScope(deadline=ends) as scope:
            yield scope
        if scope.cancelled_caught:
            raise httpcore.ReadTimeout(TOO_LONG)

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        self._belong()
        _opened.set(None)
        try:
            return await self._pool.handle_async_request(request)
        except BaseException:
            if (stream := _opened.get()) is not None:  # httpcore leaves it open where a SOCKS proxy fails
                with anyio.CancelScope(shield=True):
                    await stream.aclose()
            raise

    async def chunks(self, response: httpcore.Response) -> AsyncGenerator[bytes, None]:
        async for chunk in response.aiter_stream():
            yield chunk

    async def release(self, response: httpcore.Response) -> None:
        await response.aclose()

    async def close(self) -> None:
        await self._pool.aclose()

    def forked(self) -> None:
        forking.keep(self._pool)
        self._pool, self._loop = self._new_pool(), None

    @staticmethod
    async def sleep(seconds: float) -> None:
        await anyio.sleep(seconds)

    @staticmethod
    async def compute(work: Callable[[], Result], byte_count: int) -> Result:
        return work() if byte_count < _THREAD_BYTES else await anyio.to_thread.run_sync(work)

    def _belong(self) -> None:
        """A connection is read by the event loop that opened it."""
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise RequestError("this client was opened in another event loop: open one in each event loop")
        self._loop = loop

    def _new_pool(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=self._certificates,
            proxy=self._proxy,
            max_connections=None,  # as many as tasks that call
            keepalive_expiry=IDLE_SECONDS,
            network_backend=_Backend(),
        )


_opened: ContextVar[httpcore.AsyncNetworkStream | None] = ContextVar("_opened", default=None)
"""The connection that was opened for the request of the task, if any."""


class _Backend(httpcore.AnyIOBackend):
    """The sockets of httpcore. anyio tries the addresses of a host side by side."""

    async def connect_tcp(self, *arguments: Any, **named: Any) -> httpcore.AsyncNetworkStream:
        stream = await super().connect_tcp(*arguments, **named)
        _opened.set(stream)
        return stream
