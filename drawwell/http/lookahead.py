"""Requests one after another, each sent before the reply to the one before it is checked: the server draws while the client hashes."""

import functools
import time
from collections.abc import Sequence
from typing import NamedTuple

from drawwell.errors import DrawwellError
from drawwell.generator import Images
from drawwell.http.connections import Connections
from drawwell.http.exchange import Exchange
from drawwell.http.server import Server
from drawwell.http.transport import Sent


class Lookahead:
    """The requests of one call to a client, of which at most one waits ahead of its turn."""

    def __init__(
        self, connections: type[Connections], requests: Sequence[Exchange], digest: str, seconds: float
    ) -> None:
        """``digest`` is of the generator, ``seconds`` is the time of a request that is sent ahead."""
        self._connections, self._requests, self._digest, self._seconds = connections, requests, digest, seconds
        self._ahead: _Ahead | None = None

    async def images(self, place: int, server: Server, ends: float) -> Images:
        """Return the checked images of the request at ``place``. Raises ``RequestError`` or ``ServerError``."""
        answer = await server.receive(await self._take(place, server, ends))
        if place + 1 < len(self._requests):
            self._ahead = await self._send_ahead(place + 1, server)
        check = functools.partial(server.images, answer, self._requests[place], self._digest)
        return await self._connections.compute(check, len(answer.body))

    async def close(self) -> None:
        """Give up the request that waits."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and isinstance(ahead.outcome, Sent):
            await ahead.server.release(ahead.outcome)

    async def _take(self, place: int, server: Server, ends: float) -> Sent:
        ahead = self._ahead
        if ahead is None or (ahead.place, ahead.server) != (place, server):
            await self.close()  # another attempt, or another server
            return await server.send(self._requests[place].message(), ends)
        self._ahead = None
        if isinstance(ahead.outcome, DrawwellError):
            raise ahead.outcome
        return ahead.outcome

    async def _send_ahead(self, place: int, server: Server) -> "_Ahead":
        """A failure is kept until its turn: the images before it are whole."""
        try:
            sent = await server.send(self._requests[place].message(), time.monotonic() + self._seconds)
        except DrawwellError as error:
            return _Ahead(place, server, error)
        return _Ahead(place, server, sent)


class _Ahead(NamedTuple):
    place: int
    server: Server
    outcome: Sent | DrawwellError
