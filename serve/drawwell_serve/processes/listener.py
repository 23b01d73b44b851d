"""The socket that a server listens on."""

import errno
import os
import socket

from drawwell.errors import DrawwellError

BACKLOG = 2048
"""Connections that may wait in the kernel for a worker. The kernel's own limit may be lower."""


def resolve(host: str, port: int) -> str:
    """The IP address of a host name. Raises ``DrawwellError`` if it has none."""
    try:
        return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a valid host name"
        raise DrawwellError(f"cannot listen on {host}:{port}: {reason}") from error


def listen(address: str, port: int, backlog: int = BACKLOG) -> socket.socket:
    """A socket that listens on an IP address; ``::`` takes IPv4 too. Raises ``DrawwellError`` if the port cannot be used."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server((address, port), family=family, backlog=backlog, dualstack_ipv6=both)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error.strerror
        if error.errno == errno.EADDRINUSE:
            reason = (
                f"another program listens there: stop it, or choose another port, for example --port {port % 65535 + 1}"
            )
        raise DrawwellError(f"cannot listen on {address}:{port}: {reason}") from error
    listener.setblocking(False)  # several workers wait for the same connection, and one gets it
    return listener
