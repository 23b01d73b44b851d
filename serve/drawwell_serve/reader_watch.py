"""The limit on clients that do not read their replies."""

import asyncio

LEAST_BYTES_A_SECOND = 1024
"""The rate at which a client must read a reply that waits for it, on average over ``stall_seconds``. Less would hold memory for hours."""


class ReaderWatch:
    """Aborts a connection if its client reads too slowly.

    Args:
        loop: The event loop.
        transport: The connection.
        stall_seconds: The time over which the client's rate is measured.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, stall_seconds: float) -> None:
        self._loop, self._transport, self._seconds = loop, transport, stall_seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch from now on. Nothing is written meanwhile, so the unread bytes must become fewer."""
        if self._timer is None and (unread := self._transport.get_write_buffer_size()):
            most = max(0, unread - LEAST_BYTES_A_SECOND * self._seconds)
            self._timer = self._loop.call_later(self._seconds, self._look, most)

    def stop(self) -> None:
        """Watch no longer: more will be written, or the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, most: float) -> None:
        self._timer = None
        if self._transport.get_write_buffer_size() > most:
            self._transport.abort()
        else:
            self.start()
