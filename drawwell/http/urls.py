"""URLs from users and environment variables, checked before anything is sent."""

import re

import httpx

from drawwell.errors import RequestError
from drawwell.text import printable

_HOST = re.compile(r"(?=.{1,254}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?|[0-9a-f:.]*:.*", re.IGNORECASE)
"""A name as DNS knows it, or an IPv6 address, which httpx has checked."""


def parse_url(text: str, schemes: tuple[str, ...]) -> httpx.URL:
    """Return the URL. Raises ``ValueError``, with a sentence to stand after the URL, unless scheme, host and port are right."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        # what httpx says of a URL may be a part of its password
        raise ValueError("is no URL" + ("" if "@" in text else f" ({printable(error)})")) from None
    if url.scheme not in schemes:
        raise ValueError(f"is no URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not _HOST.fullmatch(url.raw_host.decode("ascii")):
        raise ValueError(f"has no host: {printable(url.host)!r} is no name of one")
    if url.port is not None and not 1 <= url.port <= 65535:
        raise ValueError(f"has the port {url.port}: a port is from 1 to 65535")
    return url


def parse_server(text: str) -> httpx.URL:
    """Return the URL of a server. Raises ``RequestError`` for any other text."""
    try:
        url = parse_url(text, ("http", "https"))
    except ValueError as error:
        raise RequestError(f"{printable(text)}: {error}") from None
    if url.query or url.fragment:
        raise RequestError(f"{printable(text)}: the URL of a server has no query and no fragment")
    return url
