"""The ASGI middleware in front of every route: length, key, host, security headers, metrics, and a log line for each request."""

import functools
import ipaddress
import logging
import time
from collections.abc import Callable

import bentoml
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drawwell_serve.errors import SECURITY_HEADERS, ApiError, error_reply
from drawwell_serve.http.app import PROBES
from drawwell_serve.http.cors import allowing, origins_of
from drawwell_serve.http.hosts import Hosts
from drawwell_serve.http.keys import KeyCheck
from drawwell_serve.http.page import key_form
from drawwell_serve.http.page_files import is_page_file
from drawwell_serve.log import Facts, now
from drawwell_serve.metrics import Traffic

CLIENT_CLOSED_REQUEST = 499
"""The status in the log if the client left before the reply began. It is nginx's number."""

MAX_TARGET_BYTES = 8000
"""The limit on path and query that RFC 9112, section 3, recommends. The longest valid path here has 140 bytes."""

_LOGGED_CHARACTERS = 500
_LOGGED_NUMBERS = {b"x-drawwell-seed": "seed", b"x-drawwell-start": "start", b"x-drawwell-count": "count"}
_LOGGED_WORDS = {b"x-drawwell-labels": "labels", b"x-drawwell-digest": "digest"}

logger = logging.getLogger("drawwell.serve")


class Middleware:
    """Checks every request, hands it to the application, and counts and logs the reply.

    Args:
        app: The application that answers the requests.
        bentoml_app: BentoML's application. It gets the lifespan events, in which it makes and ends the service.
        key: The key that clients must send; None for no key.
        log: Writes the log line of a request; None for no lines.
        hosts: The host names that the server answers to; None for any.
        cors_origins: The setting ``cors_origins``.
    """

    def __init__(
        self,
        app: Starlette,
        bentoml_app: ASGIApp,
        key: bytes | None,
        log: Callable[[Facts], None] | None,
        hosts: frozenset[str] | None = None,
        cors_origins: str | None = None,
    ) -> None:
        self._app, self._bentoml = app, bentoml_app
        routes = [route for route in app.routes if isinstance(route, Route)]
        self._route = functools.lru_cache(128)(functools.partial(_route, routes))
        origins = origins_of(cors_origins)
        self._key, self._hosts = None if key is None else KeyCheck(key), Hosts(hosts, origins)
        self._answer = allowing(origins, self._checked) if origins else self._checked
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            assert scope["type"] == "lifespan", "there are no WebSockets"
            await self._bentoml(scope, receive, send)
            return
        # the path as it was sent: no route needs an escape, and %35.png would be a second name of 5.png
        scope["path"] = scope["raw_path"].decode("ascii")
        exchange = _Exchange(scope, send, _traffic(self._route(scope["path"][:MAX_TARGET_BYTES])))
        try:
            await self._answer(scope, receive, exchange.send)
        except Exception:  # Starlette has answered with a 500, logged the error, and raises it again
            if not exchange.is_whole:
                logger.exception("%s %s broke off", scope["method"], scope["path"])
        finally:
            exchange.end()
            if self._log is not None:
                self._log(exchange.facts())

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._check(scope)
        except ApiError as error:
            answer = key_form(error) if error.status == 401 and _is_front_page(scope) else error_reply(error)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        """Raise ``ApiError`` for a request that no route may answer. Only the length is checked before the key."""
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
            raise ApiError(414, "target_too_long", f"path and query are longer than {MAX_TARGET_BYTES:,} bytes")
        if scope["path"] in PROBES:
            return
        if not is_page_file(scope["path"]) and not self._may_pass(scope):
            assert self._key is not None
            await self._key.refuse(scope["headers"], _is_page(scope) and not _is_front_page(scope))
        self._hosts.check(scope)

    def _may_pass(self, scope: Scope) -> bool:
        return self._key is None or self._key.accepts(scope["headers"])


class _Exchange:
    """One request and its reply, counted while the reply is sent."""

    def __init__(self, scope: Scope, send: Send, traffic: Traffic) -> None:
        self._scope, self._send, self._traffic, self._began = scope, send, traffic, time.perf_counter()
        self._status, self._bytes, self._about = CLIENT_CLOSED_REQUEST, 0, dict[str, object]()
        self.is_whole = False
        traffic.begin()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = message["headers"]
            numbers = {_LOGGED_NUMBERS[name]: int(value) for name, value in headers if name in _LOGGED_NUMBERS}
            words = {_LOGGED_WORDS[name]: value.decode() for name, value in headers if name in _LOGGED_WORDS}
            self._about = numbers | words
            message = {**message, "headers": [*headers, *SECURITY_HEADERS]}
        else:
            self._bytes += len(message.get("body", b""))
        await self._send(message)
        self.is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)

    def end(self) -> None:
        self._seconds = time.perf_counter() - self._began
        self._traffic.end(self._status, self._seconds)

    def facts(self) -> dict[str, object]:
        """The facts of the request for the log."""
        scope = self._scope
        facts = {
            "time": now(),
            "client": _client(scope),
            "method": scope["method"],
            "path": scope["path"][:_LOGGED_CHARACTERS],
            "status": self._status,
            "seconds": round(self._seconds, 6),
            "bytes": self._bytes,
            "whole": self.is_whole,
        }
        return facts | self._about


def _client(scope: Scope) -> str | None:
    """The IP address of the client. If ``X-Forwarded-For`` holds none, the address of the proxy."""
    address = _address(str(scope["client"][0])) if scope["client"] else None
    peer: str | None = scope.get("extensions", {}).get("drawwell", {}).get("peer")
    return peer if address is None else address


@functools.lru_cache(1024)
def _address(named: str) -> str | None:
    """The IP address in its usual spelling; None if the text is no IP address."""
    try:
        return None if "%" in named else str(ipaddress.ip_address(named))  # a zone may have any length
    except ValueError:
        return None


def _is_page(scope: Scope) -> bool:
    """Whether a browser asks for a page: programs do not accept HTML."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _is_front_page(scope: Scope) -> bool:
    """Whether a browser asks for the page, which asks for the key in a form. On other paths the browser itself asks for it."""
    return scope["path"] == "/" and _is_page(scope)


def _route(routes: list[Route], path: str) -> str:
    """The route of a path. Requests are counted per route, not per path, so the number of time series stays small."""
    fitting = (route.path for route in routes[:-1] if route.path_regex.fullmatch(path))
    return next(fitting, routes[-1].path)


@functools.cache
def _traffic(route: str) -> Traffic:
    context = bentoml.server_context
    return Traffic(route, context.service_name or "drawwell", context.bento_version)
