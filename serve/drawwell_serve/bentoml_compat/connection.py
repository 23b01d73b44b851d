"""One connection: uvicorn's, with the limits of time that uvicorn leaves to a proxy."""

import asyncio
import functools
import re
import socket
import sys
from typing import Any

import httptools
import msgspec
import uvicorn.protocols.http.auto
import uvicorn.protocols.websockets.auto
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from drawwell_serve.bentoml_compat.pipelining import PipeliningProtocol
from drawwell_serve.errors import SECURITY_HEADERS
from drawwell_serve.metrics import refused
from drawwell_serve.settings import Settings

MAX_HEAD_BYTES = 64 * 1024
"""Of a request, before its body, and of all chunk sizes and trailer fields together; browsers and proxies stay below 16 KiB."""

MAX_FIELDS = 100
"""Of head and trailer together. Each takes some 200 bytes of memory, however short it is; browsers send some 20."""

_REST_BYTES = 64 * 1024
"""Of a body that was refused before it came: so much is read for the next request on the same connection, and more ends it."""

_ABSOLUTE = re.compile(rb"(?i)https?://([^/?#]*)")

_UNSENT_BYTES = 128 * 1024
"""Of a reply that the kernel takes before the client has room for it: it would take megabytes, drawn for a client that reads
nothing, and the stall would be noticed when they are full. What is under way is not bounded by it.
"""

LEAST_BYTES_A_SECOND = 1024
"""That a client must read of a reply that waits for it, on average over ``stall_seconds``: less holds memory for hours."""

_LAST_CALL_SECONDS = 0.5
"""A client in the middle of its work sends the next request meanwhile, and hears in its reply that it is the last here."""

_ASK_SECONDS, _ANSWER_SECONDS = 0.2, 0.05
"""The server probes a client this long after the client has ended its side, and then waits this long for a reset."""

_TCP_CLOSE = 7
"""Linux's number for a connection that the peer has reset (include/net/tcp_states.h)."""


def install(settings: Settings) -> None:
    """Make every connection of this process one of ours."""
    uvicorn.protocols.http.auto.AutoHTTPProtocol = functools.partial(Connection, settings)  # type: ignore[assignment]
    uvicorn.protocols.websockets.auto.AutoWebSocketsProtocol = None  # nobody here speaks it, and it knows no limits


class Connection(PipeliningProtocol):
    """The head of a request must come within ``read_seconds`` and ``MAX_HEAD_BYTES``; a reply must be
    read on within ``stall_seconds``; when the server stops, idle connections get a last call and busy ones ``drain_seconds``.
    A client that ends its own side (a half-close) still gets the replies to what it has sent.

    An application asks ``scope["extensions"]["drawwell"]["gone"]()`` whether the client has left, and ends the connection
    by ``["cut"]()``; ``["peer"]`` is the address at its other end.
    """

    def __init__(self, settings: Settings, **uvicorn_gives: Any) -> None:
        super().__init__(**uvicorn_gives)
        self.timeout_keep_alive = settings.keep_alive_seconds  # type: ignore[assignment] # seconds may be fractions
        self._settings, self._stopping, self._deaf, self._ended = settings, False, False, False
        self._head_bytes, self._fields, self._rest_bytes, self._piece = 0, 0, 0, memoryview(b"")
        self._reading: asyncio.TimerHandle | None = None
        self._stalling: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        if connected.family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._reading, self._stalling):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        if not self._deaf:
            super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. It may still read, or it may have left: TCP shows no difference."""
        self._ended = True
        self._end_when_answered()
        if not self.transport.is_closing():
            self.loop.call_later(_ASK_SECONDS, self._ask_whether_read)
        return not self.transport.is_closing()

    def parse(self, piece: memoryview) -> None:
        self._head_bytes += len(piece)
        self._piece = piece
        super().parse(piece)
        if self.transport.is_closing() or self._deaf:
            return
        if self._is_refused_body():
            self._rest_bytes += len(piece)
            if self._rest_bytes > _REST_BYTES:
                self._end_without_rest()
        elif self._head_bytes > MAX_HEAD_BYTES:
            what = "head of the request is" if self._is_idle() else "chunk sizes and trailer fields of the body are"
            self._refuse(431, "head_too_large", f"the {what} larger than {MAX_HEAD_BYTES:,} bytes")
        elif self._is_idle() and self._reading is None:
            self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._fields = self._rest_bytes = 0
        about: dict[object, object] = {
            "gone": self.transport.is_closing,
            "cut": self.transport.abort,
            "peer": self.client and self.client[0],
        }
        self.scope["extensions"] = {"drawwell": about}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise OverflowError  # the parser stops, and uvicorn calls send_400_response
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if self._is_idle() and not self.flow.write_paused:
            self._watch_reader_no_more()  # another reply will be written meanwhile
        if absolute := _ABSOLUTE.match(self.url):  # its host goes before that of the header (RFC 9112, section 3.2.2)
            self.headers[:] = [(name, absolute[1] if name == b"host" else value) for name, value in self.headers]
        super().on_headers_complete()
        if self._stopping and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._head_bytes = max(0, self._head_bytes - len(body))  # what frames the body is left
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()
        if self._is_refused_body():
            self.cycle.more_body = False  # uvicorn leaves it as it was

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() or (self._deaf and self._is_idle()):
            self._close()
        elif self._stopping:  # its head went out before, and did not say that it is the last
            self._last_call()
        if self._ended:
            self._end_when_answered()
        if self._is_idle():
            self._watch_reader()
            self._expect_rest()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch_reader_no_more()
        if self._is_idle():
            self._watch_reader()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours is in the form of all errors
        if self._fields > MAX_FIELDS:
            self._refuse(431, "head_too_large", f"the request has more than {MAX_FIELDS} header and trailer fields")
        else:
            self._refuse(400, "malformed_request", "this is no HTTP request")

    def shutdown(self) -> None:
        self._stopping = True
        self.loop.call_later(self._settings.cut_seconds, self.transport.abort)
        if self._is_idle():
            self._last_call()
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False  # its head will say so

    def _should_upgrade(self) -> bool:
        return self.parser.get_method() != b"CONNECT"  # whose body is none; the application refuses the method

    def handle_websocket_upgrade(self) -> None:
        """Answer as if no upgrade had been asked for (RFC 9110, section 7.8): some clients ask with every request. httptools has
        left the body to the other protocol, so the request is parsed again.
        """
        error = sys.exception()
        assert isinstance(error, httptools.HttpParserUpgrade), "uvicorn calls this where it caught it"
        start = b" ".join((self.parser.get_method(), self.url, b"HTTP/" + self.parser.get_http_version().encode()))
        lines = [start, *(b": ".join(header) for header in self.scope["headers"] if header[0] != b"upgrade")]
        self.parser = httptools.HttpRequestParser(self)  # after "Connection: close" the old one reads nothing more
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parse_again(b"\r\n".join((*lines, b"", self._piece[error.args[0] :])))

    def _unsupported_upgrade_warning(self) -> None:
        """A CONNECT is refused by the application; the log need not hear of it."""

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_refused_body(self) -> bool:
        """Whether the rest of a body comes that nobody waits for, since its reply was sent."""
        return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

    def _end_without_rest(self) -> None:
        """End this side, and drop what still comes: closed at once, the kernel would take the reply back from the client."""
        self._deaf = True
        self.forget_unparsed()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self._close()

    def _last_call(self) -> None:
        self.loop.call_later(_LAST_CALL_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._is_idle():
            self._close()

    def _end_when_answered(self) -> None:
        """Close the connection after the last reply, since no other request can come."""
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

    def _ask_whether_read(self) -> None:
        """Send ``100 Continue``, which a server may send at any time before the reply (RFC 9110, section 15.2).

        The kernel of a client that has left answers with a reset, and then nothing needs to be drawn. A reply that has begun
        finds out by itself.
        """
        waits = not self._is_idle() and not self.has_waiting() and not self.cycle.response_started
        if waits and self.cycle.scope["http_version"] == "1.1" and not self.transport.is_closing():
            self.transport.write(STATUS_LINE[100] + b"\r\n")
            self.loop.call_later(_ANSWER_SECONDS, self._end_if_reset)

    def _end_if_reset(self) -> None:
        connected = self.transport.get_extra_info("socket")
        if self.transport.is_closing() or connected.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
            return
        if connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE:
            self.transport.abort()

    def _close(self) -> None:
        """Once what was written has been read."""
        self.transport.close()
        self._watch_reader()

    def _watch_reader(self) -> None:
        """Nothing is written now: what waits to be read must become less by ``LEAST_BYTES_A_SECOND``, else the reader is cut off."""
        if self._stalling is None and (unread := self.transport.get_write_buffer_size()):
            most = max(0, unread - LEAST_BYTES_A_SECOND * self._settings.stall_seconds)
            self._stalling = self.loop.call_later(self._settings.stall_seconds, self._look_at_reader, most)

    def _look_at_reader(self, most: float) -> None:
        self._stalling = None
        if self.transport.get_write_buffer_size() > most:
            self.transport.abort()
        else:
            self._watch_reader()

    def _watch_reader_no_more(self) -> None:
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None

    def _expect_head(self) -> None:
        self._reading = self.loop.call_later(self._settings.read_seconds, self._give_up_reading)

    def _expect_rest(self) -> None:
        """Bound the time for the rest of a body that was refused before it came: the next head follows it."""
        if self.cycle.more_body and self._reading is None:
            self._expect_head()

    def _give_up_reading(self) -> None:
        if self._head_bytes:
            self._refuse(
                408, "head_too_slow", f"the head of the request did not come in {self._settings.read_seconds:g} seconds"
            )
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer before there is a request that the application could answer; not in the middle of another's reply."""
        self.forget_unparsed()
        if self._is_refused_body():
            self._close()
            return
        if not self._is_idle():
            self.cycle.keep_alive = False
            if self.pipeline or self.cycle.response_started or not self.cycle.more_body:
                self._deaf = True
                return
            # the application waits for the rest of the body, and counts that it does not come
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
