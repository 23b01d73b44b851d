"""uvicorn's connection, with the limits on time and size that uvicorn leaves to a proxy."""

import asyncio
import functools
import socket
from typing import Any

import msgspec
import uvicorn.protocols.http.auto
import uvicorn.protocols.websockets.auto
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from drawwell_serve.bentoml_compat.targets import TargetProtocol
from drawwell_serve.errors import SECURITY_HEADERS
from drawwell_serve.metrics import refused
from drawwell_serve.reader_watch import ReaderWatch
from drawwell_serve.settings import Settings

MAX_HEAD_BYTES = 64 * 1024
"""The limit on the head of a request, and on the chunk sizes and trailer fields of its body. Browsers and proxies stay below 16 KiB."""

MAX_FIELDS = 100
"""The limit on header and trailer fields together. Each takes some 200 bytes of memory, however short it is. Browsers send some 20."""

_REST_BYTES = 64 * 1024
"""Bytes that are read of a body whose request was refused before, to get to the next request. A longer body ends the connection."""

_UNSENT_BYTES = 128 * 1024
"""Bytes of a reply that the kernel takes before the client has room for them. By default it would take megabytes, drawn for a client
that reads nothing, and the stall would be noticed only then. Bytes on their way are not bounded by it.
"""

_LAST_REQUEST_SECONDS = 0.5
"""An idle connection stays open that long after the server is told to stop. A request that comes meanwhile is answered with
``Connection: close``."""

_PROBE_SECONDS, _RESET_SECONDS = 0.2, 0.05
"""The server probes a client this long after the client has ended its side, and then waits this long for a reset."""

_TCP_CLOSE = 7
"""Linux's number for a connection that its peer has reset (include/net/tcp_states.h)."""


def install(settings: Settings) -> None:
    """Make uvicorn use ``Connection`` for every connection of this process."""
    uvicorn.protocols.http.auto.AutoHTTPProtocol = functools.partial(Connection, settings)  # type: ignore[assignment]
    uvicorn.protocols.websockets.auto.AutoWebSocketsProtocol = None  # no route speaks it, and it has no limits


class Connection(TargetProtocol):
    """uvicorn's HTTP/1.1 connection with limits.

    - The head of a request must arrive within ``read_seconds``, in at most ``MAX_HEAD_BYTES`` and ``MAX_FIELDS``.
    - A client must go on reading its reply (``ReaderWatch``).
    - When the server stops, idle connections close soon, and busy ones after at most ``cut_seconds``.
    - A client that ends its own side (a half-close) still gets the replies to the requests that it has sent.

    The application finds three things in ``scope["extensions"]["drawwell"]``: ``is_disconnected()`` tells whether the client
    has left, ``abort()`` closes the connection at once, and ``peer`` is the IP address at its other end.
    """

    def __init__(self, settings: Settings, **from_uvicorn: Any) -> None:
        super().__init__(**from_uvicorn)
        self.timeout_keep_alive = settings.keep_alive_seconds  # type: ignore[assignment]  # uvicorn declares an int
        self._settings, self._stopping, self._ignoring_input, self._ended = settings, False, False, False
        self._head_bytes, self._fields, self._rest_bytes = 0, 0, 0
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        if connected.family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        self._reader = ReaderWatch(self.loop, transport, self._settings.stall_seconds)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._reader.stop()
        if self._reading is not None:
            self._reading.cancel()

    def data_received(self, data: bytes) -> None:
        if not self._ignoring_input:
            super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. It may still read, or it may have left: TCP shows no difference."""
        self._ended = True
        self._end_when_answered()
        if not self.transport.is_closing():
            self.loop.call_later(_PROBE_SECONDS, self._probe)
        return not self.transport.is_closing()

    def parse(self, piece: memoryview) -> None:
        self._head_bytes += len(piece)
        super().parse(piece)
        if self.transport.is_closing() or self._ignoring_input:
            return
        if self._is_refused_body():
            self._rest_bytes += len(piece)
            if self._rest_bytes > _REST_BYTES:
                self._end_without_rest()
        elif self._head_bytes > MAX_HEAD_BYTES:
            part = "head of the request is" if self._is_idle() else "chunk sizes and trailer fields of the body are"
            self._refuse(431, "head_too_large", f"the {part} larger than {MAX_HEAD_BYTES:,} bytes")
        elif self._is_idle() and self._reading is None:
            self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._fields = self._rest_bytes = 0
        extension: dict[object, object] = {
            "is_disconnected": self.transport.is_closing,
            "abort": self.transport.abort,
            "peer": self.client and self.client[0],
        }
        self.scope["extensions"] = {"drawwell": extension}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise OverflowError  # it stops the parser, and uvicorn calls send_400_response
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if self._is_idle() and not self.flow.write_paused:
            self._reader.stop()  # another reply will be written
        super().on_headers_complete()
        if self._stopping and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._head_bytes = max(0, self._head_bytes - len(body))  # count only the bytes that frame the body
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()
        if self._is_refused_body():
            self.cycle.more_body = False  # uvicorn leaves it True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() or (self._ignoring_input and self._is_idle()):
            self._close()
        elif self._stopping:  # the head of the reply went out before, without Connection: close
            self._close_soon()
        if self._ended:
            self._end_when_answered()
        if self._is_idle():
            self._reader.start()
            self._expect_rest()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader.stop()
        if self._is_idle():
            self._reader.start()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - our sentence replaces it
        if self._fields > MAX_FIELDS:
            self._refuse(431, "head_too_large", f"the request has more than {MAX_FIELDS} header and trailer fields")
        else:
            self._refuse(400, "malformed_request", "this is not a valid HTTP request")

    def shutdown(self) -> None:
        self._stopping = True
        self.loop.call_later(self._settings.cut_seconds, self.transport.abort)
        if self._is_idle():
            self._close_soon()
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False  # the head of its reply will say so

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_refused_body(self) -> bool:
        """Whether the rest of a body is coming although its reply was sent."""
        return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

    def _end_without_rest(self) -> None:
        """End this side, and drop further input. If the socket were closed at once, the kernel would discard the reply."""
        self._ignoring_input = True
        self.forget_unparsed()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self._close()

    def _close_soon(self) -> None:
        self.loop.call_later(_LAST_REQUEST_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._is_idle():
            self._close()

    def _end_when_answered(self) -> None:
        """Close the connection after the last reply: no other request can come."""
        if self.has_waiting():
            return
        if not self._is_idle() and not self.cycle.more_body:
            self.cycle.keep_alive = False
        elif not self._is_idle():
            self._refuse(400, "body_cut_off", "the connection ended before the body did")
        elif self._head_bytes:
            self._refuse(400, "malformed_request", "the connection ended before the head of the request did")
        else:
            self._close()

    def _probe(self) -> None:
        """Find out whether a client that ended its side has left, by ``100 Continue`` (RFC 9110, section 15.2).

        A server may send it at any time before the reply. If the client has left, its kernel answers with a reset, and nothing
        needs to be drawn. A reply that has begun gets the reset by itself.
        """
        waits = not self._is_idle() and not self.has_waiting() and not self.cycle.response_started
        if waits and self.cycle.scope["http_version"] == "1.1" and not self.transport.is_closing():
            self.transport.write(STATUS_LINE[100] + b"\r\n")
            self.loop.call_later(_RESET_SECONDS, self._end_if_reset)

    def _end_if_reset(self) -> None:
        connected = self.transport.get_extra_info("socket")
        if self.transport.is_closing() or connected.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
            return
        if connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE:
            self.transport.abort()

    def _close(self) -> None:
        """Close the connection as soon as the client has read everything that was written."""
        self.transport.close()
        self._reader.start()

    def _expect_head(self) -> None:
        self._reading = self.loop.call_later(self._settings.read_seconds, self._give_up_reading)

    def _expect_rest(self) -> None:
        """Bound the time for the rest of a refused body. The next head follows it."""
        if self.cycle.more_body and self._reading is None:
            self._expect_head()

    def _give_up_reading(self) -> None:
        if self._head_bytes:
            self._refuse(
                408,
                "head_too_slow",
                f"the head of the request did not arrive within {self._settings.read_seconds:g} seconds",
            )
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer a request that does not reach the application, unless another reply is under way."""
        self.forget_unparsed()
        if self._is_refused_body():
            self._close()
            return
        if not self._is_idle():
            self.cycle.keep_alive = False
            if self.pipeline or self.cycle.response_started or not self.cycle.more_body:
                self._ignoring_input = True
                return
            # the application waits for the rest of the body, and counts the request as refused
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        else:
            refused(code)
        body = msgspec.json.encode({"error": {"code": code, "message": message}})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = [b"%s: %s\r\n" % header for header in (*headers, *SECURITY_HEADERS)]
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
        self._close()
