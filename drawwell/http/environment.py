"""The environment variables that a connection depends on: the key, and proxies and certificates as curl and httpx read them."""

import importlib.util
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpcore
import httpx

from drawwell.errors import RequestError
from drawwell.http.urls import parse_url
from drawwell.install import PIP
from drawwell.text import printable

if TYPE_CHECKING:
    import ssl

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the environment variable that names it."""

    variable: str
    url: httpx.URL

    @property
    def scheme(self) -> str:
        return self.url.scheme

    def to_httpcore(self, certificates: "ssl.SSLContext | None") -> httpcore.Proxy:
        """``certificates`` are for a proxy that is reached with https."""
        url = httpcore.URL(scheme=self.url.raw_scheme, host=self.url.raw_host, port=self.url.port, target=b"/")
        auth = (self.url.username.encode(), self.url.password.encode()) if self.url.userinfo else None
        return httpcore.Proxy(url, auth, ssl_context=certificates if self.scheme == "https" else None)


def proxy_of(url: httpx.URL) -> Proxy | None:
    """Return the proxy for a URL, if there is one. Raises ``RequestError`` for a proxy that cannot be used."""
    proxies = urllib.request.getproxies()
    value = proxies.get(url.scheme) or proxies.get("all")
    # an IPv6 address may stand in NO_PROXY with its brackets or without
    if not value or any(map(urllib.request.proxy_bypass, (url.host, url.netloc.decode()))):
        return None
    variable = _variable(f"{url.scheme}_proxy", "all_proxy")
    value = value if "://" in value else f"http://{value}"
    try:
        proxy = Proxy(variable, parse_url(value, _SCHEMES))
    except ValueError as error:
        raise RequestError(f"{variable}: {printable(value)}, which should be a proxy, {error}") from None
    if proxy.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise RequestError(
            f"{variable}: {printable(value)} is a SOCKS proxy, which needs the package socksio: {PIP} install socksio"
        )
    return proxy


def certificates() -> "ssl.SSLContext":
    """Return the authorities to trust, of SSL_CERT_FILE or SSL_CERT_DIR, or else of certifi.

    Raises ``RequestError`` if they cannot be read.
    """
    folder = os.environ.get("SSL_CERT_DIR")
    _refuse_pipes()
    try:
        if folder and not Path(folder).is_dir() and not os.environ.get("SSL_CERT_FILE"):
            raise FileNotFoundError("no such folder")
        return httpx.create_ssl_context()
    except OSError as error:
        given = ", ".join(f"{name}={printable(os.environ[name])}" for name in _CERTIFICATES if os.environ.get(name))
        raise RequestError(
            f"{given or 'certifi'}: certificates cannot be read from there ({printable(error)})"
        ) from error


def _refuse_pipes() -> None:
    """A pipe that nobody writes to would be waited for without end, and /dev/zero has none."""
    for name in _CERTIFICATES:
        value = os.environ.get(name, "")
        if os.access(value, os.F_OK) and not (Path(value).is_file() or Path(value).is_dir()):
            raise RequestError(f"{name}={printable(value)}: is a pipe or a device, not a file")


def _variable(*names: str) -> str:
    """The variable that is set, in lower or in upper case."""
    found = (one for name in names for one in (name, name.upper()) if os.environ.get(one))
    return next(found, "the proxy of the system's settings")
