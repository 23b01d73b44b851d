"""The names that a server answers to.

A web page may point its own name at 127.0.0.1 (DNS rebinding), and its reader's browser then asks a server there in that name.
An IP address in a URL cannot be pointed elsewhere, and ``localhost`` is nobody's (RFC 6761, section 6.3).
"""

import functools
import ipaddress
import os
import re
import socket

import click
from starlette.types import Scope

from .errors import ApiError
from .settings import Settings

_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::\d*)?")


def names_of(settings: Settings, listens_to: str) -> frozenset[str] | None:
    """The names that a server answers to besides the loopback's own; None for any.

    By default any: a proxy passes on what its clients call it, and a public server has names that it does not know. A page
    of others has no key; so it is only on the loopback and without one that they are known.
    """
    if settings.hosts is not None:
        names = frozenset(name.strip().lower() for name in settings.hosts.split(","))
        return None if "*" in names else names
    return frozenset() if settings.key() is None and ipaddress.ip_address(listens_to).is_loopback else None


def listens_to() -> str:
    """The IP address that this worker listens to; BentoML hands it the socket by its number."""
    with socket.socket(fileno=os.dup(click.get_current_context().params["fd"])) as listening:
        return str(listening.getsockname()[0])


class Hosts:
    """Looks at the ``Host`` of a request."""

    def __init__(self, names: frozenset[str] | None) -> None:
        self._names = names
        self._is_known = functools.lru_cache(128)(self._is_known)  # type: ignore[method-assign]

    def check(self, scope: Scope) -> None:
        """Raise ``ApiError`` 400 unless the request names one host (RFC 9112, section 3.2), and 421 where that is not this server."""
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) > 1 or (not named and scope["http_version"] != "1.0"):
            raise ApiError(400, "malformed_request", f"a request has one Host header, and this one has {len(named)}")
        if named and not self._is_known(named[0]):
            name = named[0][:100].decode("ascii", "replace")
            message = (
                f"this server is not known as {name}: add the name to DRAWWELL_HOSTS (--hosts) if it is one of its own"
            )
            raise ApiError(421, "unknown_host", message)

    def _is_known(self, host: bytes) -> bool:
        if self._names is None:
            return True
        name = _name(host.decode("latin-1").lower())
        return name in self._names or name == "localhost" or name.endswith(".localhost") or _is_address(name)


def _name(host: str) -> str:
    """Without the port, the brackets of IPv6 and the dot of the root; nothing for what is no host."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).removesuffix(".") if match else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
