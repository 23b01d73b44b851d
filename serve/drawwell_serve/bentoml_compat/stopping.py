"""The end of listening: connections in the kernel's queue are served. With uvicorn's own shutdown the kernel would reset them."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn

logger = logging.getLogger("drawwell.serve")


def install() -> None:
    """Make uvicorn's server in this process serve the queued connections before it stops."""
    uvicorn.Server.shutdown = _shutdown  # type: ignore[method-assign, assignment]


_original_shutdown = uvicorn.Server.shutdown


async def _shutdown(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    queued = [connection for listening in sockets or [] for connection in _queued(listening)]
    for listener in server.servers:
        listener.close()  # at once: connections that come in between are reset
    for listening in sockets or []:
        listening.close()
    loop = asyncio.get_running_loop()
    for connection in queued:
        with contextlib.suppress(OSError):  # the client has left meanwhile
            await loop.connect_accepted_socket(lambda: _protocol(server), connection, ssl=server.config.ssl)
    await _original_shutdown(server, sockets)


def _queued(listening: socket.socket) -> Iterator[socket.socket]:
    try:
        while True:
            yield listening.accept()[0]
    except BlockingIOError:  # the queue is empty
        pass
    except OSError as error:  # connections have taken all descriptors, and those that are open are answered
        logger.warning("queued connections are closed without a reply: %s", error.strerror)


def _protocol(server: uvicorn.Server) -> asyncio.Protocol:
    """Make a protocol as uvicorn's ``startup`` does."""
    return server.config.http_protocol_class(  # type: ignore[call-arg]
        config=server.config, server_state=server.server_state, app_state=server.lifespan.state
    )
