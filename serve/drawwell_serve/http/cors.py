"""CORS: web pages of other origins may send requests only if the settings name their origin."""

import re

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from drawwell.http import protocol as wire

METHODS = ("GET", "HEAD", "POST")
_REQUEST_HEADERS = ("Authorization", "If-None-Match", "If-Range", "Range")
_RESPONSE_HEADERS = (
    "Content-Digest",
    "Content-Range",
    "ETag",
    "Retry-After",
    "WWW-Authenticate",
    wire.DIGEST,
    wire.PROVIDER,
)
_DAY_SECONDS = 86_400
_DEFAULT_PORT = re.compile(r"(http://[^/]*):80$|(https://[^/]*):443$")


def origins_of(setting: str | None) -> frozenset[str]:
    """The origins of the setting, spelled as browsers do: in lower case, without the default port of the scheme."""
    several = [origin.strip().lower() for origin in (setting or "").split(",")]
    return frozenset(_DEFAULT_PORT.sub(r"\1\2", origin) for origin in several if origin)


def allowing(origins: frozenset[str], app: ASGIApp) -> ASGIApp:
    """``app``, open to web pages of ``origins``. Preflight requests carry no key and need none."""
    return CORSMiddleware(
        app,
        allow_origins=sorted(origins),
        allow_methods=METHODS,
        allow_headers=_REQUEST_HEADERS,
        allow_private_network=True,  # a page on the internet may use a server on the loopback or in a local network
        expose_headers=(*_RESPONSE_HEADERS, wire.FINGERPRINT, *wire.ABOUT),
        max_age=_DAY_SECONDS,
    )
