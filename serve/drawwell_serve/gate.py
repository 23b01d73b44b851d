"""What every request passes, whoever answers it: the key, security headers, metrics, and one line in the log."""

import functools
import hmac
import logging
import time
from datetime import UTC, datetime

import bentoml
import msgspec
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .app import PROBES
from .errors import SECURITY_HEADERS, reply
from .metrics import Traffic
from .request_log import RequestLog

GONE = 499
"""In the log: the client left before the reply began (nginx's number for it)."""

_LOGGED_HEADERS = {b"x-drawwell-seed": "seed", b"x-drawwell-start": "start", b"x-drawwell-count": "count"}

logger = logging.getLogger("drawwell.serve")


class Gate:
    """ASGI in front of ours, and of BentoML's application, which keeps the lifespan: it makes and ends the service."""

    def __init__(self, ours: Starlette, bentoml_app: ASGIApp, key: bytes | None, log_requests: bool) -> None:
        self._ours, self._bentoml = ours, bentoml_app
        routes = [route for route in ours.routes if isinstance(route, Route)]
        self._route = functools.lru_cache(128)(functools.partial(_route, routes))
        self._authorization = None if key is None else b"Bearer " + key
        self._log = RequestLog() if log_requests else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            assert scope["type"] == "lifespan", "a connection asks for nothing else"
            await self._bentoml(scope, receive, send)
            return
        exchange = _Exchange(scope, send, _traffic(self._route(scope["path"])))
        try:
            await self._answer(scope)(scope, receive, exchange.send)
        except Exception:  # Starlette raises again what it has answered with a 500, and that is in the log
            if not exchange.is_whole:
                logger.exception("%s %s broke off", scope["method"], scope["path"])
        finally:
            exchange.end()
            if self._log is not None:
                self._log.add(exchange.line())

    def _answer(self, scope: Scope) -> ASGIApp:
        return self._ours if scope["path"] in PROBES or self._may_pass(scope) else _UNAUTHORIZED

    def _may_pass(self, scope: Scope) -> bool:
        if self._authorization is None:
            return True
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(sent) == 1 and hmac.compare_digest(sent[0][:7].title() + sent[0][7:], self._authorization)


_UNAUTHORIZED = reply(
    401,
    "unauthorized",
    "send the key of this server as Authorization: Bearer KEY (drawwell takes it from DRAWWELL_KEY)",
    headers={"WWW-Authenticate": "Bearer"},
)


class _Exchange:
    """One request and its reply, seen from outside."""

    def __init__(self, scope: Scope, send: Send, traffic: Traffic) -> None:
        self._scope, self._send, self._traffic, self._began = scope, send, traffic, time.perf_counter()
        self._status, self._bytes, self._about = GONE, 0, dict[str, object]()
        self.is_whole = False
        traffic.begin()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = message["headers"]
            self._about = {_LOGGED_HEADERS[name]: int(value) for name, value in headers if name in _LOGGED_HEADERS}
            message = {**message, "headers": [*headers, *SECURITY_HEADERS]}
        else:
            self._bytes += len(message.get("body", b""))
        await self._send(message)
        self.is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)

    def end(self) -> None:
        self._seconds = time.perf_counter() - self._began
        self._traffic.end(self._status, self._seconds)

    def line(self) -> bytes:
        """The request as one line of JSON."""
        scope = self._scope
        facts = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": scope["client"] and scope["client"][0],
            "method": scope["method"],
            "path": scope["path"],
            "status": self._status,
            "seconds": round(self._seconds, 6),
            "bytes": self._bytes,
            "whole": self.is_whole,
        }
        return msgspec.json.encode(facts | self._about)


def _route(routes: list[Route], path: str) -> str:
    """By this and not by path are requests counted, since there is no end of paths."""
    fitting = (
        route.path for route in routes if route.path == path or ("{" in route.path and route.path_regex.match(path))
    )
    return next(fitting, routes[-1].path)  # no route takes * or a path with a line break


@functools.cache
def _traffic(route: str) -> Traffic:
    context = bentoml.server_context
    return Traffic(route, context.service_name or "drawwell", context.bento_version)
