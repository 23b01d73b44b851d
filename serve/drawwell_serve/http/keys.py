"""The check of the server's key."""

import asyncio
import base64
import binascii
import contextlib
import hmac
import time

from drawwell_serve.errors import ApiError
from drawwell_serve.http.browsers import Headers, site_of

GUESSES_A_SECOND = 10
"""The rate at which a worker answers requests with a wrong key, for all clients together. The right key never waits."""
_MOST_SECONDS = 8
"""The longest wait for a wrong key. If the queue is that long, a further wrong key is a 429 at once. A client that tries many keys
learns from the 429 too that its key is wrong, so only the length of the key protects it.
"""

_KEY_HINT = "send the key of this server as Authorization: Bearer KEY (the drawwell client reads it from DRAWWELL_KEY)"


class KeyCheck:
    """Accepts the key as ``Bearer KEY``, or as the password of ``Basic``, for which browsers ask their users."""

    def __init__(self, key: bytes) -> None:
        self._authorization, self._next = b"Bearer " + key, 0.0

    def accepts(self, headers: Headers) -> bool:
        """Whether the request has the key."""
        sent = _sent(headers)
        return len(sent) == 1 and hmac.compare_digest(_bearer(sent[0], headers), self._authorization)

    async def refuse(self, headers: Headers, is_page: bool) -> None:
        """Raise ``ApiError`` 401: at once if the request has no key, and after other wrong keys if its key is wrong. Or raise 429."""
        challenge = {"WWW-Authenticate": 'Basic realm="drawwell", charset="UTF-8"' if is_page else "Bearer"}
        if _sent(headers):
            await self._turn()
            what = "the key is wrong" if _has_scheme(_sent(headers)) else "the word Bearer is missing before the key"
            raise ApiError(401, "wrong_key", f"{what}: {_KEY_HINT}", headers=challenge)
        in_browser = (
            "; in a browser, reload the page, enter any user name, and the key as the password" if is_page else ""
        )
        raise ApiError(401, "unauthorized", _KEY_HINT + in_browser, headers=challenge)

    async def _turn(self) -> None:
        now = time.monotonic()
        mine = max(now, self._next)
        if mine - now > _MOST_SECONDS:
            headers = {"Retry-After": str(_MOST_SECONDS), "Connection": "close"}
            raise ApiError(
                429,
                "too_many_wrong_keys",
                "the server has got too many wrong keys: send the request again later",
                headers=headers,
            )
        self._next = mine + 1 / GUESSES_A_SECOND
        await asyncio.sleep(mine - now)


def _has_scheme(sent: list[bytes]) -> bool:
    return all(b" " in value.strip() for value in sent)


def _sent(headers: Headers) -> list[bytes]:
    return [value for name, value in headers if name == b"authorization"]


def _bearer(sent: bytes, headers: Headers) -> bytes:
    """The value as ``Bearer KEY``; empty if it holds no key."""
    if sent[:6].lower() != b"basic ":
        return sent[:7].title() + sent[7:]
    if site_of(headers) not in (b"none", b"same-origin"):  # a page of another site made the browser send it
        return b""
    with contextlib.suppress(binascii.Error):
        return b"Bearer " + base64.b64decode(sent[6:], validate=True).partition(b":")[2]
    return b""
