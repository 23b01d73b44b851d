"""The key of a server."""

import asyncio
import base64
import binascii
import contextlib
import hmac
import time
from collections.abc import Sequence

from .errors import ApiError

GUESSES_A_SECOND = 10
"""Wrong keys that a worker answers, for all clients together. The right key never waits."""
_MOST_SECONDS = 8.0
"""The longest wait for one wrong key, so that no connection is held for ever."""

_HOW = "send the key of this server as Authorization: Bearer KEY (drawwell takes it from DRAWWELL_KEY)"

Headers = Sequence[tuple[bytes, bytes]]


class Lock:
    """Accepts the key as ``Bearer KEY``, or as the password of ``Basic``, which browsers ask their users for."""

    def __init__(self, key: bytes) -> None:
        self._authorization, self._next = b"Bearer " + key, 0.0

    def opens(self, headers: Headers) -> bool:
        sent = _sent(headers)
        return len(sent) == 1 and hmac.compare_digest(_bearer(sent[0], headers), self._authorization)

    async def refuse(self, headers: Headers, is_page: bool) -> None:
        """Raise ``ApiError`` 401: at once if no key was sent, in turn after other wrong keys if a wrong key was sent."""
        challenge = {"WWW-Authenticate": 'Basic realm="drawwell", charset="UTF-8"' if is_page else "Bearer"}
        if _sent(headers):
            await self._turn()
            raise ApiError(401, "wrong_key", f"this key is wrong: {_HOW}", headers=challenge)
        in_browser = "; in a browser, reload the page, and give any name and the key as the password" if is_page else ""
        raise ApiError(401, "unauthorized", _HOW + in_browser, headers=challenge)

    async def _turn(self) -> None:
        now = time.monotonic()
        mine = max(now, min(self._next, now + _MOST_SECONDS))
        self._next = mine + 1 / GUESSES_A_SECOND
        await asyncio.sleep(mine - now)


def _sent(headers: Headers) -> list[bytes]:
    return [value for name, value in headers if name == b"authorization"]


def _bearer(sent: bytes, headers: Headers) -> bytes:
    """The value as ``Bearer KEY``; empty if it is no use."""
    if sent[:6].lower() != b"basic ":
        return sent[:7].title() + sent[7:]
    if _is_of_another_page(headers):
        return b""
    with contextlib.suppress(binascii.Error):
        return b"Bearer " + base64.b64decode(sent[6:], validate=True).partition(b":")[2]
    return b""


def _is_of_another_page(headers: Headers) -> bool:
    """Whether another site's page made the browser fetch this: the browser adds ``Basic`` by itself. A followed link is fine."""
    told = dict(headers)
    site, mode = told.get(b"sec-fetch-site", b"none"), told.get(b"sec-fetch-mode")
    return site not in (b"none", b"same-origin") and mode != b"navigate"
