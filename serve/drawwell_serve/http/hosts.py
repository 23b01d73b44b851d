"""The host names that a server answers to.

DNS rebinding: a web page lets its own name resolve to 127.0.0.1, and the browser then sends the page's requests to a server on the
reader's machine. An IP address in a URL cannot be rebound, and nobody owns the name ``localhost`` (RFC 6761, section 6.3).

A page of another site may also name ``localhost`` itself, for example in ``<img src>``, and have its reader's machine draw.
"""

import functools
import ipaddress
import re
from typing import Literal

from starlette.types import Scope

from drawwell_serve.errors import ApiError
from drawwell_serve.http.browsers import site_of
from drawwell_serve.settings import Settings

_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::\d*)?")


def names_of(settings: Settings, listens_to: str) -> frozenset[str] | None:
    """The names that a server answers to besides ``localhost`` and IP addresses; None for any name.

    The default is any name, since a proxy passes on the name that its clients use, and a public server does not know its names.
    Only a server on a loopback address without a key has no other names: a key keeps pages of other sites out anyway.

    Args:
        settings: The setting ``hosts``, and whether there is a key.
        listens_to: The IP address that the server listens on.
    """
    if settings.hosts is not None:
        names = {_name(host.strip().lower()) for host in settings.hosts.split(",")}
        return None if "*" in names else frozenset(names - {""})
    return frozenset() if settings.key() is None and ipaddress.ip_address(listens_to).is_loopback else None


class Hosts:
    """Checks the ``Host`` header of requests, and the site of the page that sent them.

    Args:
        names: The host names that the server answers to besides ``localhost`` and IP addresses; None for any name.
        origins: The origins whose pages may send requests.
    """

    def __init__(self, names: frozenset[str] | None, origins: frozenset[str] = frozenset()) -> None:
        self._names, self._origins = names, origins
        self._kind = functools.lru_cache(128)(self._kind_of)

    def check(self, scope: Scope) -> None:
        """Check one request.

        Raises:
            ApiError: 400 unless the request has one ``Host`` (RFC 9112, section 3.2), 421 if it names another server, 403 if a
                page of another site has sent it to its reader's own machine.
        """
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) > 1 or (not named and scope["http_version"] != "1.0"):
            raise ApiError(400, "malformed_request", f"a request needs one Host header, and this one has {len(named)}")
        kind = self._kind(named[0]) if named else "public"
        if kind == "unknown":
            raise ApiError(421, "unknown_host", _unknown(named[0][:100].decode("ascii", "replace")))
        if kind == "local" and self._is_of_another_site(scope):
            message = (
                "a web page of another site sent this request to a server on its reader's machine: to allow the page, name its "
                "origin in DRAWWELL_CORS_ORIGINS (--cors-origins); to make the server public, name its host in DRAWWELL_HOSTS (--hosts)"
            )
            raise ApiError(403, "other_site", message)

    def _kind_of(self, host: bytes) -> Literal["public", "local", "unknown"]:
        """Whether a server that checks names has this one from its settings, is its reader's own, or does not have it."""
        if self._names is None:
            return "public"
        name = _name(host.decode("latin-1").lower())
        if name in self._names:
            return "public"
        return "local" if name == "localhost" or name.endswith(".localhost") or _is_address(name) else "unknown"

    def _is_of_another_site(self, scope: Scope) -> bool:
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        return site_of(scope["headers"]) == b"cross-site" and not {"*", origin} & self._origins


def _unknown(name: str) -> str:
    if not name.strip():
        return "this server does not answer to an empty Host header"
    return f"this server does not answer to the name {name}: if the name is right, add it to DRAWWELL_HOSTS (--hosts)"


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
