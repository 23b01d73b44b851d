"""The connections to one server, as the client waits on them: with blocking calls here, in an event loop in ``async_connections``.

A client is written once, as coroutines (``core``). With the connections of this module they never wait for an event loop, so that
``run`` carries them out as plain calls.
"""

import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import httpcore

from drawwell import forking

if TYPE_CHECKING:
    import ssl

Result = TypeVar("Result")

IDLE_SECONDS = 4.0
"""Many servers close an idle connection after 5 s, and a request on it would be lost."""
TOO_LONG = "the answer took too long"


class Deadline(Protocol):
    """The end of a step of an exchange, of ``time.monotonic``. It may be moved while the step lasts."""

    deadline: float


class Connections(Protocol):
    """The connections to one server, and how its client waits and computes."""

    def __init__(self, proxy: httpcore.Proxy | None, certificates: "ssl.SSLContext | None") -> None: ...

    def until(self, ends: float) -> AbstractContextManager[Deadline]:
        """Wait for no socket after ``ends`` within the block; raise ``httpcore.TimeoutException`` then."""
        ...

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, and return the head of its reply."""
        ...

    def chunks(self, response: httpcore.Response) -> AsyncGenerator[bytes, None]:
        """Yield the body of a reply as it comes."""
        ...

    async def release(self, response: httpcore.Response) -> None:
        """Free the connection of a reply; close it, unless the reply was read whole."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...

    def forked(self) -> None:
        """Leave the connections to the process that this one was forked from."""
        ...

    @staticmethod
    async def sleep(seconds: float) -> None:
        """Wait."""
        ...

    @staticmethod
    async def compute(work: Callable[[], Result], byte_count: int) -> Result:
        """Return the result of ``work``, which reads so many bytes, and stop nothing else meanwhile."""
        ...


class BlockingConnections:
    """The connections to one server, for any number of threads."""

    def __init__(self, proxy: httpcore.Proxy | None, certificates: "ssl.SSLContext | None") -> None:
        self._proxy, self._certificates, self._clock = proxy, certificates, _Clock()
        self._pool = self._new_pool()

    @contextmanager
    def until(self, ends: float) -> Iterator[Deadline]:
        self._clock.deadline, self._clock.opened = ends, None
        try:
            yield self._clock
        except BaseException:
            if self._clock.opened is not None:  # httpcore leaves it open where a SOCKS proxy fails
                self._clock.opened.close()
            raise

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        return self._pool.handle_request(request)

    async def chunks(self, response: httpcore.Response) -> AsyncGenerator[bytes, None]:
        for chunk in response.iter_stream():
            yield chunk

    async def release(self, response: httpcore.Response) -> None:
        response.close()

    async def close(self) -> None:
        self._pool.close()

    def forked(self) -> None:
        forking.keep(self._pool)
        self._pool = self._new_pool()

    @staticmethod
    async def sleep(seconds: float) -> None:
        time.sleep(seconds)

    @staticmethod
    async def compute(work: Callable[[], Result], byte_count: int) -> Result:  # noqa: ARG004 - one thread computes as fast as it can
        return work()

    def _new_pool(self) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(
            ssl_context=self._certificates,
            proxy=self._proxy,
            max_connections=None,  # as many as threads that call
            keepalive_expiry=IDLE_SECONDS,
            network_backend=_Backend(self._clock),
        )


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of a coroutine that waits with ``BlockingConnections`` only, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise AssertionError("a coroutine of the blocking client waited for an event loop")


class _Clock(threading.local):
    """The end of the step of the calling thread, and the connection that was opened in it, if any."""

    deadline = float("inf")
    opened: httpcore.NetworkStream | None = None

    def cut(self, timeout: float | None, shares: int = 1) -> float:
        """Return at most ``timeout``, and at most one of so many shares of the time that is left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout(TOO_LONG)
        return left / shares if timeout is None else min(timeout, left / shares)


class _Backend(httpcore.NetworkBackend):
    """The sockets of httpcore, none of which is waited for after the end of the exchange."""

    def __init__(self, clock: _Clock) -> None:
        self._sockets, self._clock = httpcore.SyncBackend(), clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of ``host`` that answers. All share the time, which one socket call would give to each."""
        addresses = _resolve(host, port)
        for shares in range(len(addresses), 0, -1):
            cut = self._clock.cut(timeout, shares)
            try:
                stream = self._sockets.connect_tcp(addresses[-shares], port, cut, local_address, socket_options)
                self._clock.opened = stream
                return _Stream(stream, self._clock)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


def _resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, at least one. An unknown name is tried again: it may belong to a server that starts."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, clock: _Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._clock.cut(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.cut(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._clock.cut(timeout))
        return _Stream(stream, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
