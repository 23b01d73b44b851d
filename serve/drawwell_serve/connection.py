"""One connection: uvicorn's, with the limits of time that uvicorn leaves to a proxy."""

import asyncio
import functools
import logging
from typing import Any

import msgspec
import uvicorn.protocols.http.auto
import uvicorn.protocols.websockets.auto
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .errors import SECURITY_HEADERS
from .settings import Settings

MAX_HEAD_BYTES = 64 * 1024
"""Of a request, before its body; browsers and proxies stay below 16 KiB."""

_LAST_CALL_SECONDS = 0.5
"""A client in the middle of its work sends the next request meanwhile, and hears in its reply that it is the last here."""


def install(settings: Settings) -> None:
    """Make every connection of this process one of ours."""
    uvicorn.protocols.http.auto.AutoHTTPProtocol = functools.partial(Connection, settings)  # type: ignore[assignment]
    uvicorn.protocols.websockets.auto.AutoWebSocketsProtocol = None  # nobody here speaks it, and it knows no limits
    logging.getLogger("uvicorn.error").propagate = False  # BentoML writes it out, and again as the root's


class Connection(HttpToolsProtocol):
    """The head of a request must come within ``read_seconds`` and ``MAX_HEAD_BYTES``; a reply may lie unread for
    ``stall_seconds``; when the server stops, idle connections get a last call and busy ones ``drain_seconds``.

    An application asks ``scope["extensions"]["drawwell"]["gone"]()`` whether the client has left.
    """

    def __init__(self, settings: Settings, **uvicorn_gives: Any) -> None:
        super().__init__(**uvicorn_gives)
        self._settings, self._stopping, self._head_bytes, self._in_body = settings, False, 0, False
        self._reading: asyncio.TimerHandle | None = None
        self._stalling: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._reading, self._stalling):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_idle() or self.transport.is_closing():
            return
        if not self._in_body:
            self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, "head_too_large", f"the head of the request is larger than {MAX_HEAD_BYTES:,} bytes")
        elif self._reading is None:
            self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"drawwell": {"gone": self.transport.is_closing}}

    def on_headers_complete(self) -> None:
        self._head_bytes, self._in_body = 0, True
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if (
            self._stopping and not self.transport.is_closing()
        ):  # its head went out before, and did not say that it is the last
            self._last_call()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalling = self.loop.call_later(self._settings.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():  # closing would wait until it is read
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours is in the form of all errors
        self._refuse(400, "malformed_request", "this is no HTTP request")

    def shutdown(self) -> None:
        self._stopping = True
        self.loop.call_later(self._settings.drain_seconds, self.transport.abort)
        if self._is_idle():
            self._last_call()
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False  # its head will say so

    def _unsupported_upgrade_warning(self) -> None:
        """It is answered as if it had not been asked for (RFC 9110, section 7.8); the log need not hear of it."""

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _last_call(self) -> None:
        self.loop.call_later(_LAST_CALL_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._is_idle():
            self.transport.close()

    def _expect_head(self) -> None:
        self._reading = self.loop.call_later(self._settings.read_seconds, self._give_up_reading)

    def _give_up_reading(self) -> None:
        if self._head_bytes:
            self._refuse(
                408, "head_too_slow", f"the head of the request did not come in {self._settings.read_seconds:g} seconds"
            )
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer before there is a request that the application could answer."""
        body = msgspec.json.encode({"error": {"code": code, "message": message}})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = [b"%s: %s\r\n" % header for header in (*headers, *SECURITY_HEADERS)]
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
        self.transport.close()
