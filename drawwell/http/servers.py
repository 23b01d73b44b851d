"""Several servers of one generator as one: the first that works is asked, and one that failed is asked again later."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from drawwell.errors import ResponseError, ServerError, UnavailableError
from drawwell.http.server import Model, Server

Result = TypeVar("Result")

logger = logging.getLogger("drawwell.client")

_REST_SECONDS, _LONGEST_REST_SECONDS = 5.0, 300.0
"""The rest of a server that failed doubles with every failure."""


class Servers:
    """Servers in the order in which they are asked. ``follows`` says that a new generator is for the caller to follow."""

    def __init__(self, servers: Sequence[Server], follows: bool) -> None:
        self._servers, self._follows = servers, follows
        self._failures = dict.fromkeys(servers, 0)
        self._rests_until = dict.fromkeys(servers, 0.0)

    async def first(self, call: Callable[[Server], Awaitable[Result]]) -> Result:
        """Return the result of the first server that gives one.

        Raises the error of the only server, or one that names all. An error of the call itself goes to no other server.
        """
        failures = []
        for server in self._in_order():
            try:
                result = await call(server)
            except ServerError as error:
                if self._follows and isinstance(error, ResponseError) and error.digest:
                    raise
                failures.append(self._rest(server, error))
            else:
                self._failures[server] = 0
                self._rests_until[server] = 0.0
                return result
        raise _together(failures)

    async def model(self, digest: str | None, ends: float) -> Model:
        """Return the generator ``digest``, or without one the generator that every server has.

        A server that does not answer may join later: every reply names its generator.
        """
        found: dict[Server, Model] = {}
        failures = []
        for server in self._servers:
            try:
                found[server] = model = await server.model(ends)
                if digest not in (None, model.digest):
                    failures.append(self._rest(server, server.changed(found.pop(server).digest, digest or "")))
            except ServerError as error:
                failures.append(self._rest(server, error))
        if not found:
            raise _together(failures)
        if not self._follows:
            _check_one_digest(found)
        return next(iter(found.values()))

    async def close(self) -> None:
        """Close all connections."""
        for server in self._servers:
            await server.close()

    def _in_order(self) -> list[Server]:
        now = time.monotonic()
        return sorted(self._servers, key=lambda server: self._rests_until[server] > now)

    def _rest(self, server: Server, error: ServerError) -> ServerError:
        rest = min(_REST_SECONDS * 2.0 ** min(self._failures[server], 9), _LONGEST_REST_SECONDS)
        self._failures[server] += 1
        self._rests_until[server] = time.monotonic() + rest
        if len(self._servers) > 1:
            level = logging.WARNING if self._failures[server] == 1 else logging.DEBUG
            logger.log(level, "%s; asking the other servers first for %g s", error, rest)
        return error


def _together(failures: Sequence[ServerError]) -> ServerError:
    """One error with the sentences of all."""
    if len(failures) == 1:
        return failures[0]
    kinds = {type(failure) for failure in failures}
    error = (kinds.pop() if len(kinds) == 1 else ServerError)("; ".join(map(str, failures)))
    error.is_temporary = any(failure.is_temporary for failure in failures)
    waits = [failure.retry_after for failure in failures if isinstance(failure, UnavailableError)]
    if isinstance(error, UnavailableError):
        error.retry_after = min((wait for wait in waits if wait is not None), default=None)
    return error


def _check_one_digest(found: dict[Server, Model]) -> None:
    if len({model.digest for model in found.values()}) > 1:
        said = "; ".join(f"{server.name}: serves the generator {model.digest}" for server, model in found.items())
        raise ResponseError(f"{said}: the servers must have one generator, or give digest= to say which one")
