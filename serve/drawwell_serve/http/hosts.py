"""The host names that a server answers to.

DNS rebinding: a web page lets its own name resolve to 127.0.0.1, and the browser then sends the page's requests to a server on the
reader's machine. An IP address in a URL cannot be rebound, and nobody owns the name ``localhost`` (RFC 6761, section 6.3).

Pages of other sites may also name ``localhost`` themselves, in ``<img src>`` for one, and have their reader's machine draw.
"""

import functools
import ipaddress
import os
import re
import socket

import click
from starlette.types import Scope

from drawwell_serve.errors import ApiError
from drawwell_serve.http.browsers import site_of
from drawwell_serve.settings import Settings

_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::\d*)?")


def names_of(settings: Settings, listens_to: str) -> frozenset[str] | None:
    """The names that a server answers to besides ``localhost`` and IP addresses; None for any name.

    The default is any name, since a proxy passes on the name that its clients use, and a public server does not know its names.
    Only a server on a loopback address without a key has no other names: a key keeps other people's pages out anyway.
    """
    if settings.hosts is not None:
        names = {_name(host.strip().lower()) for host in settings.hosts.split(",")}
        return None if "*" in names else frozenset(names - {""})
    return frozenset() if settings.key() is None and ipaddress.ip_address(listens_to).is_loopback else None


def listens_to() -> str:
    """The IP address that this worker listens to. BentoML passes the socket as a file descriptor."""
    with socket.socket(fileno=os.dup(click.get_current_context().params["fd"])) as listening:
        return str(listening.getsockname()[0])


class Hosts:
    """Checks the ``Host`` header of requests, and the page that sent them."""

    def __init__(self, names: frozenset[str] | None, origins: frozenset[str] = frozenset()) -> None:
        self._names, self._origins = names, origins
        self._is_known = functools.lru_cache(128)(self._is_known)  # type: ignore[method-assign]

    def check(self, scope: Scope) -> None:
        """Raise ``ApiError`` 400 unless the request has one ``Host`` (RFC 9112, section 3.2), 421 if it names another server, and
        403 if a page of another site has sent it to this machine.
        """
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) > 1 or (not named and scope["http_version"] != "1.0"):
            raise ApiError(400, "malformed_request", f"a request needs one Host header, and this one has {len(named)}")
        if named and not self._is_known(named[0]):
            raise ApiError(421, "unknown_host", _unknown(named[0][:100].decode("ascii", "replace")))
        if named and self._is_local(named[0]) and self._is_of_another_site(scope):
            message = (
                "a page of another site asks this server, which is its reader's own: the setting DRAWWELL_CORS_ORIGINS "
                "(--cors-origins) lets pages in, DRAWWELL_HOSTS (--hosts) makes a public name known"
            )
            raise ApiError(403, "other_site", message)

    def _is_local(self, host: bytes) -> bool:
        """Whether the server checks names, and this is none of those that the setting made public."""
        return self._names is not None and _name(host.decode("latin-1").lower()) not in self._names

    def _is_of_another_site(self, scope: Scope) -> bool:
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        return site_of(scope["headers"]) == b"cross-site" and not {"*", origin} & self._origins

    def _is_known(self, host: bytes) -> bool:
        if self._names is None:
            return True
        name = _name(host.decode("latin-1").lower())
        return name in self._names or name == "localhost" or name.endswith(".localhost") or _is_address(name)


def _unknown(name: str) -> str:
    if not name.strip():
        return "this server does not answer to an empty Host header"
    return f"this server does not answer to the name {name}: if it is right, add it to DRAWWELL_HOSTS (--hosts)"


def _name(host: str) -> str:
    """The host without port, brackets and final dot; empty if it is malformed."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).removesuffix(".") if match else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
