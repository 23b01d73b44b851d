"""Exchanges with a server, each in bounded time and memory, on connections of the calling process.

httpcore is the engine of httpx. It is used directly because httpx limits neither the time of a whole exchange nor the
bytes of a reply, decompresses what it receives, and reads the environment with exceptions of its own.
"""

import importlib
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import httpcore
import httpx

from drawwell import forking
from drawwell.errors import DrawwellError, RequestError, UnreachableError
from drawwell.http.connections import Connections, Deadline
from drawwell.http.environment import Proxy, certificates, proxy_of
from drawwell.http.urls import parse_server
from drawwell.text import printable

SLOWEST_BYTES_PER_SECOND = 2**16
"""A body may take longer than its deadline as long as it comes faster than this, so that a slow line is no failure."""

_ERROR_BYTES = 2**16
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError)
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE")
_NO_TLS_HINT = "the server does not speak TLS: write http:// in place of https://"
_FOR_GOOD = re.compile(r"CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|^4(?!08|29)\d\d\b")
"""Failures that the next attempt would meet again: an unknown authority, a server without TLS, a refusal of the proxy."""
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_WANTS_USER = re.compile(r"407\b|Invalid username|Requested ")
"""The words of httpcore if a proxy asks for a password or refuses it."""
_LAYERS = 3
"""Of exceptions below the one of httpcore, in which the one of the operating system may be."""


@dataclass(frozen=True)
class Message:
    """A request, and what its reply may be.

    Of the body of the reply at most ``most_bytes`` are read. It may come after the deadline if it begins with ``begins``.
    """

    method: str
    path: str
    accept: str
    most_bytes: int
    body: bytes = b""
    begins: bytes = b""


@dataclass(frozen=True)
class Sent:
    """A request that was sent, and the head of its reply. ``Transport.receive`` or ``Transport.release`` frees its connection."""

    message: Message
    response: httpcore.Response
    ends: float


@dataclass(frozen=True)
class Answer:
    """A reply; its body is cut at the most bytes that it may have."""

    status: int
    reason: str
    headers: httpx.Headers
    body: bytearray


class Transport:
    """Exchanges with one server.

    ``timeout`` is in seconds, for each connect, read and write.
    """

    def __init__(self, connections: type[Connections], url: str, timeout: float, headers: Mapping[str, str]) -> None:
        """Raise ``RequestError`` for a URL that names no server, and for a wrong environment variable."""
        self._name, self._url = printable(url), parse_server(url)
        self._timeouts = dict.fromkeys(("connect", "read", "write"), timeout)
        self._headers = {**headers, "Host": self._url.netloc.decode()}
        self._proxy = proxy_of(self._url)
        self._failures = _failures(self._proxy)
        encrypted = "https" in (self._url.scheme, self._proxy and self._proxy.scheme)
        trusted = certificates() if encrypted else None
        self._connections = connections(self._proxy.to_httpcore(trusted) if self._proxy else None, trusted)
        forking.at_fork(self, Transport._forked)

    async def send(self, message: Message, ends: float) -> Sent:
        """Send a request, and wait for the head of its reply.

        At ``ends``, of ``time.monotonic``, the exchange is given up, unless the body comes faster than
        ``SLOWEST_BYTES_PER_SECOND``. Raises ``UnreachableError``, and ``RequestError`` if the proxy asks for a password.
        """
        with self._step(ends):
            return Sent(message, await self._connections.send(self._request(message)), ends)

    async def receive(self, sent: Sent) -> Answer:
        """Read the reply, of an error less than of an answer. Raises as ``send`` does."""
        response = sent.response
        with self._step(sent.ends) as clock:
            try:
                if response.status == 407:
                    raise self._wants_user("407")
                is_right = response.status == 200
                most, begins = (sent.message.most_bytes, sent.message.begins) if is_right else (_ERROR_BYTES, b"")
                return _answer(response, await self._read(response, most, begins, clock))
            finally:
                await self._connections.release(response)

    async def release(self, sent: Sent) -> None:
        """Give up a reply."""
        with self._step(time.monotonic() + self._timeouts["read"]):
            await self._connections.release(sent.response)

    async def close(self) -> None:
        """Close all connections."""
        with _without_log():
            await self._connections.close()

    def _forked(self) -> None:
        self._connections.forked()

    def _request(self, message: Message) -> httpcore.Request:
        body = {"Content-Length": str(len(message.body)), "Content-Type": "application/json"} if message.body else {}
        return httpcore.Request(
            message.method,
            self._target(message.path),
            headers=[*(self._headers | body | {"Accept": message.accept}).items()],
            content=message.body,
            extensions={"timeout": self._timeouts},
        )

    def _target(self, path: str) -> httpcore.URL:
        target = self._url.raw_path.rstrip(b"/") + b"/" + path.encode()
        return httpcore.URL(scheme=self._url.raw_scheme, host=self._url.raw_host, port=self._url.port, target=target)

    async def _read(self, response: httpcore.Response, most_bytes: int, begins: bytes, clock: Deadline) -> bytearray:
        body, ends = bytearray(), clock.deadline
        async with aclosing(self._connections.chunks(response)) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > most_bytes:
                    del body[most_bytes:]
                    break
                if begins and body.startswith(begins):
                    clock.deadline = ends + len(body) / SLOWEST_BYTES_PER_SECOND
        return body

    @contextmanager
    def _step(self, ends: float) -> Iterator[Deadline]:
        """A part of an exchange: in bounded time, without the log of httpcore, and with exceptions of ours."""
        try:
            with _without_log(), self._connections.until(ends) as clock:
                yield clock
        except self._failures as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> DrawwellError:
        if isinstance(error, httpcore.ProxyError) and _WANTS_USER.match(str(error)):
            return self._wants_user(str(error))
        said = _cause_of(error)
        if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
            without_tls = _NO_TLS.search(str(error)) and not self._proxy
            said = f"cannot connect ({_NO_TLS_HINT if without_tls else said})"
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


_is_ours: ContextVar[bool] = ContextVar("_is_ours", default=False)
"""Whether httpcore works for this module now."""

for _part in ("connection", "http11", "proxy", "socks"):
    logging.getLogger(f"httpcore.{_part}").addFilter(lambda _: not _is_ours.get())


@contextmanager
def _without_log() -> Iterator[None]:
    """httpcore logs a dozen lines a request at the level DEBUG, which hide the lines of a training job."""
    token = _is_ours.set(True)
    try:
        yield
    finally:
        _is_ours.reset(token)


def _cause_of(error: Exception) -> str:
    """What went wrong, in the words of the operating system: anyio and httpcore hide them below errors of their own."""
    cause: BaseException | None = error
    for _ in range(_LAYERS):
        cause = cause and (cause.__cause__ or cause.__context__)
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, ConnectionError) and cause.errno:
            return os.strerror(cause.errno)
    return _ERRNO.sub("", printable(error)) or type(error).__name__


def _failures(proxy: Proxy | None) -> tuple[type[Exception], ...]:
    """The exceptions of a connection. httpcore lets the exceptions of ``socksio`` through, for an answer that is no SOCKS."""
    if proxy is None or not proxy.scheme.startswith("socks"):
        return _FAILURES
    return (*_FAILURES, importlib.import_module("socksio").SOCKSError)


def _answer(response: httpcore.Response, body: bytearray) -> Answer:
    reason = response.extensions.get("reason_phrase", b"").decode("ascii", "replace")
    return Answer(response.status, reason, httpx.Headers(response.headers), body)
