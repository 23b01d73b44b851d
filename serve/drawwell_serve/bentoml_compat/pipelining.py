"""uvicorn's connection with bounded pipelining: requests that come before earlier replies were read (RFC 9112, section 9.3.2)."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_PIECE_BYTES = 1024
"""Bytes that the parser gets at once. The shortest request has 25, so at most 40 parsed requests wait in one connection."""

_TURN_PIECES = 16
"""Pieces that are parsed before other connections have their turn. Six bytes, a chunk of one byte, take a microsecond or two."""


class PipeliningProtocol(HttpToolsProtocol):
    """uvicorn's connection with a bounded pipeline.

    uvicorn parses everything that arrives and reads on after each reply, so a client that never reads could fill the memory with
    requests. Here, parsing stops while a parsed request waits, and reading stops while unparsed bytes wait.
    """

    _unparsed = memoryview(b"")
    _has_turn = False
    """Whether the event loop will call ``_take_turn``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _BoundedFlow(transport, self.has_waiting)

    def has_waiting(self) -> bool:
        """Whether a parsed request or unparsed bytes wait for their turn."""
        return bool(self.pipeline or self._unparsed)

    def data_received(self, data: bytes) -> None:
        self._unparsed = memoryview(b"".join((self._unparsed, data)) if self._unparsed else data)
        if not self._has_turn:
            self._parse_on()

    def parse(self, piece: memoryview) -> None:
        """Give one piece to the parser."""
        super().data_received(piece)  # type: ignore[arg-type]

    def forget_unparsed(self) -> None:
        """Drop the bytes that were not parsed yet."""
        self._unparsed = memoryview(b"")

    def parse_again(self, request: bytes) -> None:
        """Put ``request`` in front of the unparsed bytes."""
        self._unparsed = memoryview(b"".join((request, self._unparsed)))

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.headers = []  # the request keeps the old list, so trailer fields do not reach it

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if not self.parser.should_upgrade() and not self.parser.should_keep_alive():
            self.cycle.keep_alive = False  # a trailer may say close too, and the parser then ignores further requests

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._parse_on()
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _parse_on(self) -> None:
        """Parse a few pieces, and leave the rest to the next turn of the event loop."""
        for _ in range(_TURN_PIECES):
            if not self._may_parse():
                break
            piece, self._unparsed = self._unparsed[:_PIECE_BYTES], self._unparsed[_PIECE_BYTES:]
            self.parse(piece)
        if self._may_parse() and not self._has_turn:
            self._has_turn = True
            self.loop.call_soon(self._take_turn)
        if self.has_waiting() and not self.transport.is_closing():
            self.flow.pause_reading()

    def _may_parse(self) -> bool:
        return bool(self._unparsed and not self.pipeline and not self.transport.is_closing())

    def _take_turn(self) -> None:
        self._has_turn = False
        self._parse_on()
        if not self.transport.is_closing() and (self.cycle is None or len(self.cycle.body) <= HIGH_WATER_LIMIT):
            self.flow.resume_reading()


class _BoundedFlow(FlowControl):
    """uvicorn's flow control, except that reading stays paused while requests wait."""

    def __init__(self, transport: asyncio.Transport, has_waiting: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._has_waiting = has_waiting

    def resume_reading(self) -> None:
        if not self._has_waiting():
            super().resume_reading()
