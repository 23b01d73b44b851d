"""CORS: web pages of other origins may send requests only if the settings name their origin."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from drawwell import wire

METHODS = ("GET", "HEAD", "POST")
_SENT = ("Authorization", "If-None-Match", "If-Range", "Range")
_READ = ("Content-Digest", "Content-Range", "ETag", "Retry-After", "WWW-Authenticate", wire.DIGEST, wire.PROVIDER)
_DAY_SECONDS = 86_400


def allowing(origins: str, app: ASGIApp) -> ASGIApp:
    """``app``, open to pages of ``origins``, which are separated by commas. Preflight requests carry no key and need none."""
    return CORSMiddleware(
        app,
        allow_origins=[origin.strip() for origin in origins.split(",")],
        allow_methods=METHODS,
        allow_headers=_SENT,
        allow_private_network=True,  # a page on the internet asks a server on the loopback or in a local network
        expose_headers=(*_READ, wire.FINGERPRINT, *wire.ABOUT),
        max_age=_DAY_SECONDS,
    )
