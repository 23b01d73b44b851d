"""The server of the pages."""

import ipaddress
import socket
from collections.abc import Callable, Collection

import uvicorn
from starlette.types import ASGIApp

from drawwell.errors import DrawwellError
from drawwell.text import reason

CreateApp = Callable[[Collection[str], Callable[[], bool]], ASGIApp]
"""From the host names that are right, and from a function that says when requests for events must end."""

_STOP_SECONDS = 3
"""Requests for events end within one."""


def create_server(create_app: CreateApp, listener: socket.socket, host: str) -> uvicorn.Server:
    """Return a server of an application, for ``run([listener])``. ``host`` is the one that ``listen`` got."""
    app = create_app(_names(listener, host), lambda: server.should_exit)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    return server


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises ``DrawwellError`` for an address that cannot be had."""
    if not 0 <= port < 2**16:
        raise DrawwellError(f"--port must be from 0 to 65535, not {port}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise DrawwellError(
            f"cannot listen on {host}, port {port} ({reason(error).partition(' (while ')[0]}): choose another address or --port"
        ) from error


def url_of(listener: socket.socket, host: str) -> str:
    """The URL by which a browser reaches the server; of a server on all addresses, with the name of the machine."""
    name = socket.gethostname() if _address(listener).is_unspecified else host
    return f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"


def _names(listener: socket.socket, host: str) -> set[str]:
    """A name of ``--host`` is right, and where others reach this machine, its own."""
    return {host} if _address(listener).is_loopback else {host, socket.gethostname(), socket.getfqdn()}


def _address(listener: socket.socket) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(listener.getsockname()[0])
