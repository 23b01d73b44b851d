"""The limit on the memory of request bodies while they arrive."""

import asyncio

SHORT_BODY_BYTES = 16 * 1024
"""A body up to this length is always read. uvicorn buffers more of each connection anyway."""

_ALL_BYTES = 64 * 2**20
"""The limit on all longer bodies that a worker reads at once."""


class Body:
    """A body that arrives within ``timeout``. ``gave_way`` tells whether it was refused to make room for others."""

    def __init__(self) -> None:
        self.length, self.gave_way, self.timeout = 0, False, asyncio.Timeout(None)
        self._began = asyncio.get_running_loop().time()

    def bytes_a_second(self) -> float:
        """The rate at which the body arrives."""
        return self.length / max(asyncio.get_running_loop().time() - self._began, 1e-3)

    def give_way(self) -> None:
        """End the wait for the rest of the body."""
        self.gave_way = True
        if not self.timeout.expired():
            self.timeout.reschedule(asyncio.get_running_loop().time())


class Bodies:
    """The bodies that a worker reads at once. When the long ones take too much memory, the slowest of them gives way."""

    def __init__(self) -> None:
        self._long, self._bytes = set[Body](), 0

    def add(self, body: Body, count: int) -> None:
        """Count ``count`` more bytes of ``body``, which has not given way."""
        body.length += count
        if body in self._long:
            self._bytes += count
        elif body.length > SHORT_BODY_BYTES:
            self._long.add(body)
            self._bytes += body.length
        while self._bytes > _ALL_BYTES:
            slowest = min(self._long, key=Body.bytes_a_second)
            self.discard(slowest)
            slowest.give_way()

    def discard(self, body: Body) -> None:
        """Forget a body that has arrived, or that is not read any more."""
        if body in self._long:
            self._long.remove(body)
            self._bytes -= body.length
