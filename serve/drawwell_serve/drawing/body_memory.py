"""The memory that bodies take while they come."""

import asyncio

SHORT_BODY_BYTES = 16 * 1024
"""A body up to this length is always read. uvicorn holds more of each connection anyway."""

_ALL_BYTES = 64 * 2**20
"""Of all longer bodies that a worker reads at once."""


class Body:
    """One body that comes within ``timeout``. ``gave_way`` tells whether it was ended for others."""

    def __init__(self) -> None:
        self.content, self.gave_way, self.timeout = bytearray(), False, asyncio.Timeout(None)
        self._began = asyncio.get_running_loop().time()

    def bytes_a_second(self) -> float:
        return len(self.content) / max(asyncio.get_running_loop().time() - self._began, 1e-3)

    def give_way(self) -> None:
        self.gave_way = True
        if not self.timeout.expired():
            self.timeout.reschedule(asyncio.get_running_loop().time())


class Bodies:
    """All bodies that a worker reads at once: the slowest of the long ones gives way when they take too much memory."""

    def __init__(self) -> None:
        self._long, self._bytes = set[Body](), 0

    def add(self, body: Body, chunk: bytes) -> None:
        """Append ``chunk`` to ``body``, which has not given way."""
        body.content += chunk
        if body in self._long:
            self._bytes += len(chunk)
        elif len(body.content) > SHORT_BODY_BYTES:
            self._long.add(body)
            self._bytes += len(body.content)
        while self._bytes > _ALL_BYTES:
            slowest = min(self._long, key=Body.bytes_a_second)
            self.discard(slowest)
            slowest.give_way()

    def discard(self, body: Body) -> None:
        """Forget a body that has come or does not come any more."""
        if body in self._long:
            self._long.remove(body)
            self._bytes -= len(body.content)
