"""The end of listening: whoever is in the kernel's queue by then is served, where uvicorn would let the kernel hang up on him."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn

logger = logging.getLogger("drawwell.serve")


def install() -> None:
    """Make the server of this process stop in our way."""
    uvicorn.Server.shutdown = _shutdown  # type: ignore[method-assign, assignment]


_uvicorns = uvicorn.Server.shutdown


async def _shutdown(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    queued = [connection for listening in sockets or [] for connection in _queued(listening)]
    for listener in server.servers:
        listener.close()  # at once: whoever comes between is hung up on
    for listening in sockets or []:
        listening.close()
    loop = asyncio.get_running_loop()
    for connection in queued:
        with contextlib.suppress(OSError):  # who has left meanwhile
            await loop.connect_accepted_socket(lambda: _protocol(server), connection, ssl=server.config.ssl)
    await _uvicorns(server, sockets)


def _queued(listening: socket.socket) -> Iterator[socket.socket]:
    try:
        while True:
            yield listening.accept()[0]
    except BlockingIOError:  # nobody is left
        pass
    except OSError as error:  # connections have taken all descriptors: those that are open are answered
        logger.warning("connections that wait are closed unanswered: %s", error.strerror)


def _protocol(server: uvicorn.Server) -> asyncio.Protocol:
    """As uvicorn makes it in its ``startup``."""
    return server.config.http_protocol_class(  # type: ignore[call-arg]
        config=server.config, server_state=server.server_state, app_state=server.lifespan.state
    )
