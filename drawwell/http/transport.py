"""Exchanges with a server, each in bounded time and memory, on connections of the calling process.

httpcore is the engine of httpx. It is used directly because httpx limits neither the time of a whole exchange nor the
bytes of a reply, decompresses what it receives, and reads the environment with exceptions of its own.
"""

import base64
import importlib
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from drawwell import forking
from drawwell.errors import DrawwellError, RequestError, UnreachableError
from drawwell.http.environment import Proxy, bearer, certificates, proxy_of
from drawwell.http.urls import parse_url
from drawwell.text import printable

SLOWEST_BYTES_PER_SECOND = 2**16
"""A body may take longer than its deadline as long as it comes faster than this, so that a slow line is no failure."""

_ERROR_BYTES = 2**16
_IDLE_SECONDS = 4.0
"""Many servers close an idle connection after 5 s, and a request on it would be lost."""
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError)
_FOR_GOOD = re.compile(r"CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|^4(?!08|29)\d\d\b")
"""Failures that the next attempt would meet again: an unknown authority, a server without TLS, a refusal of the proxy."""
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_WANTS_USER = re.compile(r"407\b|Invalid username|Requested ")
"""The words of httpcore if a proxy asks for a password or refuses it."""


@dataclass(frozen=True)
class Answer:
    """A reply; its body is cut at the most bytes that it may have."""

    status: int
    reason: str
    headers: httpx.Headers
    body: bytearray


class Transport:
    """The connections to one server, for any number of threads.

    ``timeout`` is in seconds, for each connect, read and write.
    """

    def __init__(self, url: str, timeout: float, headers: Mapping[str, str], key: str | None = None) -> None:
        """Raise ``RequestError`` for a URL that names no server, a wrong key, and a wrong environment variable."""
        self._name, self._url = printable(url), _parse(url)
        self._timeouts = dict.fromkeys(("connect", "read", "write"), timeout)
        self._headers = {**headers, "Host": self._url.netloc.decode(), **_authorization(self._url, key)}
        self._proxy, self._clock = proxy_of(self._url), _Clock()
        self._failures = _failures(self._proxy)
        encrypted = "https" in (self._url.scheme, self._proxy and self._proxy.scheme)
        self._certificates = certificates() if encrypted else None
        self._pool = self._connections()
        forking.at_fork(self, Transport._forked)

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        most_bytes: int,
        ends: float,
        begins: bytes = b"",
    ) -> Answer:
        """Send a request and read at most ``most_bytes`` of the body of its reply, less of an error.

        At ``ends``, of ``time.monotonic``, it is given up, unless the body comes faster than ``SLOWEST_BYTES_PER_SECOND`` and
        begins with ``begins``, if that is given. Raises ``UnreachableError``, and ``RequestError`` if the proxy asks for a password.
        """
        self._clock.ends, self._clock.opened = ends, None
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
                if response.status == 407:
                    raise self._wants_user("407")
                right = response.status == 200
                most, begins = (most_bytes, begins) if right else (_ERROR_BYTES, b"")
                return _answer(response, self._read(response, most, begins))
            finally:
                response.close()
        except self._failures as error:
            if self._clock.opened is not None:  # httpcore leaves it open where a SOCKS proxy fails
                self._clock.opened.close()
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

    def _read(self, response: httpcore.Response, most_bytes: int, begins: bytes) -> bytearray:
        body, ends = bytearray(), self._clock.ends
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > most_bytes:
                del body[most_bytes:]
                break
            if begins and body.startswith(begins):
                self._clock.ends = ends + len(body) / SLOWEST_BYTES_PER_SECOND
        return body

    def _failure(self, error: Exception) -> DrawwellError:
        if isinstance(error, httpcore.ProxyError) and _WANTS_USER.match(str(error)):
            return self._wants_user(str(error))
        said = _ERRNO.sub("", printable(error)) or type(error).__name__
        if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
            said = f"cannot connect ({said})"
        failure = UnreachableError(f"{self._name}: {self._way()}{said}")
        failure.is_temporary = not _FOR_GOOD.search(str(error))
        return failure

    def _wants_user(self, said: str) -> RequestError:
        return RequestError(
            f"{self._name}: {self._way()}the proxy does not accept user and password ({printable(said)}): "
            "write them in the URL of the proxy, as USER:PASSWORD@HOST"
        )

    def _way(self) -> str:
        return f"by way of {self._proxy.variable}: " if self._proxy else ""


def _failures(proxy: Proxy | None) -> tuple[type[Exception], ...]:
    """The exceptions of a connection. httpcore lets the exceptions of ``socksio`` through, for an answer that is no SOCKS."""
    if proxy is None or not proxy.scheme.startswith("socks"):
        return _FAILURES
    return (*_FAILURES, importlib.import_module("socksio").SOCKSError)


def _parse(text: str) -> httpx.URL:
    try:
        url = parse_url(text, ("http", "https"))
    except ValueError as error:
        raise RequestError(f"{printable(text)}: {error}") from None
    if url.query or url.fragment:
        raise RequestError(f"{printable(text)}: the URL of a server has no query and no fragment")
    return url


def _authorization(url: httpx.URL, key: str | None) -> dict[str, str]:
    """User and password in the URL come before the key in the environment."""
    if not url.userinfo:
        return bearer(key)
    if key is not None:
        raise RequestError(f"{printable(url)}: give a key, or user and password in the URL, not both")
    return {"Authorization": f"Basic {base64.b64encode(f'{url.username}:{url.password}'.encode()).decode()}"}


def _answer(response: httpcore.Response, body: bytearray) -> Answer:
    reason = response.extensions.get("reason_phrase", b"").decode("ascii", "replace")
    return Answer(response.status, reason, httpx.Headers(response.headers), body)


class _Clock(threading.local):
    """The end of the exchange of the calling thread, and the connection that was opened for it, if any."""

    ends = float("inf")
    opened: httpcore.NetworkStream | None = None

    def cut(self, timeout: float | None, shares: int = 1) -> float:
        """Return at most ``timeout``, and at most one of so many shares of the time that is left."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer took too long")
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
