"""The key that each server is sent: a key goes to no host that it was not given for."""

import base64
import os
from collections.abc import Mapping, Sequence

import httpx

from drawwell.errors import RequestError
from drawwell.http.protocol import check_key
from drawwell.http.urls import parse_server
from drawwell.text import printable

Key = str | Mapping[str, str]
"""A key for the one server, or for each of several, by URL."""

_VARIABLE = "DRAWWELL_KEY"


def authorizations(urls: Sequence[str], key: Key | None) -> list[dict[str, str]]:
    """Return the header that each server is sent: a user and a password of its URL, a key, or none.

    Without ``key`` the key is in the variable DRAWWELL_KEY, if it is set. Raises ``RequestError`` for a wrong key, and for a key
    that does not say which of several hosts it is for.
    """
    if isinstance(key, Mapping):
        return _of_each(urls, key)
    parsed = [parse_server(url) for url in urls]
    _check_one_host([url for url in parsed if not url.userinfo], key)
    return [_basic(url, key) if url.userinfo else _bearer(key) for url in parsed]


def _of_each(urls: Sequence[str], keys: Mapping[str, str]) -> list[dict[str, str]]:
    for url in keys:
        if url not in urls:
            raise RequestError(f"key: {printable(url)} is none of the servers: write its URL as in the list of servers")
    parsed = [(parse_server(url), keys.get(url)) for url in urls]
    return [_basic(url, key) if url.userinfo else {} if key is None else _bearer(key) for url, key in parsed]


def _check_one_host(urls: Sequence[httpx.URL], key: str | None) -> None:
    hosts = {(url.scheme, url.host, url.port) for url in urls}
    if len(hosts) > 1 and (key is not None or _VARIABLE in os.environ):
        name = _VARIABLE if key is None else "key"
        raise RequestError(
            f"{name}: names no server, and there are several: give key={{URL: KEY, ...}}, a key for each"
        )


def _bearer(key: str | None) -> dict[str, str]:
    name, value = (_VARIABLE, os.environ.get(_VARIABLE)) if key is None else ("key", key)
    try:
        return {} if value is None else {"Authorization": f"Bearer {check_key(value)}"}
    except ValueError as error:
        raise RequestError(f"{name}: {error}") from None


def _basic(url: httpx.URL, key: str | None) -> dict[str, str]:
    """User and password in the URL come before the key in the environment."""
    if key is not None:
        raise RequestError(f"{printable(url)}: give a key, or user and password in the URL, not both")
    return {"Authorization": f"Basic {base64.b64encode(f'{url.username}:{url.password}'.encode()).decode()}"}
