"""Exchanges with a server: each takes bounded time and memory, on connections of the process that makes it.

httpcore is the engine of httpx. It is used directly because httpx limits neither the time of a whole exchange nor the
bytes of a reply, decompresses what it receives, and reads the environment with exceptions of its own.
"""

import base64
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from drawwell import forking
from drawwell.environment import certificates, proxy_of
from drawwell.errors import RequestError, UnreachableError
from drawwell.text import printable
from drawwell.urls import parse_url

SLOWEST_BYTES_PER_SECOND = 2**16
"""A body may take longer than its deadline as long as it comes faster than this, so that a slow line is no failure."""

_ERROR_BYTES = 2**16
_IDLE_SECONDS = 4.0
"""Servers close idle connections, many after 5 s: a request on such a connection would be lost."""
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError)
_FOR_GOOD = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")
"""Reasons of TLS that are the same at the next attempt: an unknown authority, or a server that speaks no TLS."""


class HopelessError(UnreachableError):
    """No connection, and none at the next attempt."""


@dataclass(frozen=True)
class Answer:
    """A reply; its body ends at the most bytes that it may have."""

    status: int
    reason: str
    headers: httpx.Headers
    body: bytearray


class Transport:
    """The connections to one server, for any number of threads.

    ``timeout`` is in seconds, for each connect, read and write.
    """

    def __init__(self, url: str, timeout: float, headers: Mapping[str, str]) -> None:
        """Raise ``RequestError`` for a URL that names no server, and for a variable of the environment that is wrong."""
        self._name, self._url = printable(url), _parse(url)
        self._timeouts = dict.fromkeys(("connect", "read", "write"), timeout)
        self._headers = {**headers, "Host": self._url.netloc.decode(), **_user(self._url)}
        self._proxy, self._clock = proxy_of(self._url), _Clock()
        encrypted = "https" in (self._url.scheme, self._proxy and self._proxy.scheme)
        self._certificates = certificates() if encrypted else None
        self._pool = self._connections()
        forking.at_fork(self, Transport._forked)

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, most_bytes: int, ends: float
    ) -> Answer:
        """Send a request and read at most ``most_bytes`` of the body of its reply, less of an error.

        At ``ends``, of ``time.monotonic``, it is given up, unless the body comes faster than ``SLOWEST_BYTES_PER_SECOND``.
        Raises ``UnreachableError``, or ``HopelessError`` where another attempt would end in the same way.
        """
        self._clock.ends = ends
        length = {"Content-Length": str(len(body))} if body else {}
        request = httpcore.Request(
            method,
            self._target(path),
            headers=[*(self._headers | length | dict(headers)).items()],
            content=body,
            extensions={"timeout": self._timeouts},
        )
        try:
            response = self._pool.handle_request(request)
            try:
                most = most_bytes if response.status == 200 else _ERROR_BYTES
                return _answer(response, self._read(response, most))
            finally:
                response.close()
        except _FAILURES as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _connections(self) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(
            ssl_context=self._certificates,
            proxy=None if self._proxy is None else self._proxy.to_httpcore(self._certificates),
            max_connections=None,  # as many as threads that call
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=_Backend(self._clock),
        )

    def _forked(self) -> None:
        forking.keep(self._pool)
        self._pool = self._connections()

    def _target(self, path: str) -> httpcore.URL:
        target = self._url.raw_path.rstrip(b"/") + b"/" + path.encode()
        return httpcore.URL(scheme=self._url.raw_scheme, host=self._url.raw_host, port=self._url.port, target=target)

    def _read(self, response: httpcore.Response, most_bytes: int) -> bytearray:
        body, ends = bytearray(), self._clock.ends
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > most_bytes:
                del body[most_bytes:]
                break
            self._clock.ends = ends + len(body) / SLOWEST_BYTES_PER_SECOND
        return body

    def _failure(self, error: Exception) -> UnreachableError:
        way = f"by way of {self._proxy.variable}: " if self._proxy else ""
        kind = HopelessError if any(reason in str(error) for reason in _FOR_GOOD) else UnreachableError
        return kind(f"{self._name}: {way}{printable(error) or type(error).__name__}")


def _parse(text: str) -> httpx.URL:
    try:
        url = parse_url(text, ("http", "https"))
    except ValueError as error:
        raise RequestError(f"{printable(text)}: {error}") from None
    if url.query or url.fragment:
        raise RequestError(f"{printable(text)}: the URL of a server has no query and no fragment")
    return url


def _user(url: httpx.URL) -> dict[str, str]:
    if not url.userinfo:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'{url.username}:{url.password}'.encode()).decode()}"}


def _answer(response: httpcore.Response, body: bytearray) -> Answer:
    reason = response.extensions.get("reason_phrase", b"").decode("ascii", "replace")
    return Answer(response.status, reason, httpx.Headers(response.headers), body)


class _Clock(threading.local):
    """Until when the calling thread's exchange may last."""

    ends = float("inf")

    def cut(self, timeout: float | None) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer took too long")
        return left if timeout is None else min(timeout, left)


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
        stream = self._sockets.connect_tcp(host, port, self._clock.cut(timeout), local_address, socket_options)
        return _Stream(stream, self._clock)


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
