"""One server: its card, its images, and its refusals as exceptions."""

import time
from collections.abc import Mapping
from typing import Annotated, NoReturn

import msgspec

from drawwell import __version__
from drawwell.errors import GeneratorFileError, RequestError, ResponseError, UnavailableError
from drawwell.files.card import ModelCard, Sha256, card_from_json
from drawwell.files.card_json import UNREADABLE
from drawwell.generator import Images
from drawwell.http import protocol
from drawwell.http.connections import Connections
from drawwell.http.exchange import Exchange
from drawwell.http.retries import retry_after
from drawwell.http.transport import Answer, Message, Sent, Transport
from drawwell.text import printable

_MAX_MODEL_BYTES = 2**23
"""More than any card: with 1,000 classes and all measures of each it has 1 MB."""
_SHOWN_PAGE_BYTES = 200
"""Of a page that another server answers with."""
_BUSY_STATUSES = (429, 502, 503, 504)
_HEADERS = {"User-Agent": f"drawwell/{__version__}", "Accept-Encoding": "identity"}
_URL_HINT = "is it a drawwell server? Write its URL without a route, as http://HOST:PORT"
_PROXY_HINT = "is there a proxy before the server that changes replies?"


class Model(msgspec.Struct, frozen=True):
    """The generator of a server: SHA-256 of its file, its card, and the most images in one request."""

    digest: str
    card: ModelCard
    max_count: int


class Server:
    """A server that is asked and checked. ``name`` is its URL without a password.

    ``is_pinned`` says that the user named the generator: a reply of another one is then temporary, as from a new replica behind a
    balancer.
    """

    def __init__(
        self,
        connections: type[Connections],
        url: str,
        timeout: float,
        authorization: Mapping[str, str],
        is_pinned: bool = False,
    ) -> None:
        self.name, self._timeout, self._is_pinned = printable(url), timeout, is_pinned
        self._transport = Transport(connections, url, timeout, {**_HEADERS, **authorization})

    async def model(self, ends: float) -> Model:
        """Ask for the generator that the server has. Raises as ``receive`` does, and ``ResponseError`` for another kind of server."""
        answer = await self.receive(
            await self.send(Message("GET", "model", "application/json", _MAX_MODEL_BYTES), ends)
        )
        try:
            reply = msgspec.json.decode(answer.body, type=_ModelReply)
            return Model(reply.digest, card_from_json(reply.card), reply.max_count)
        except (*UNREADABLE, GeneratorFileError) as error:
            sentence = f"is no drawwell server, or one of another version ({printable(error)})"
            raise ResponseError(f"{self.name}: {sentence}") from None

    async def send(self, message: Message, ends: float) -> Sent:
        """Send a request. An attempt has at least the time that one read has."""
        return await self._transport.send(message, max(ends, time.monotonic() + self._timeout))

    async def receive(self, sent: Sent) -> Answer:
        """Read the reply to a request. Raises ``RequestError`` or ``ServerError`` for a refusal."""
        answer = await self._transport.receive(sent)
        if answer.status != 200:
            self._refuse(answer)
        if (encoding := answer.headers.get("Content-Encoding", "").strip()).lower() not in ("", "identity"):
            sentence = f"answered in the encoding {printable(encoding)!r}, which was not asked for"
            raise ResponseError(f"{self.name}: {sentence}: turn compression off in the server, or in a proxy before it")
        return answer

    def images(self, answer: Answer, request: Exchange, digest: str) -> Images:
        """Return the images of a reply. Raises ``ResponseError`` unless it is whole, and from this generator."""
        self._check_headers(answer, request.about(), digest)
        try:
            return request.images(answer.body)
        except ValueError as error:
            raise self._damaged(str(error)) from None

    def changed(self, digest: str, expected: str) -> ResponseError:
        """Return the error of a server that has another generator than the client."""
        hint = ", which digest= names" if self._is_pinned else ": open it again"
        sentence = f"now serves the generator {printable(digest, 64)}, not {expected}{hint}"
        error = ResponseError(f"{self.name}: {sentence}")
        error.digest, error.is_temporary = digest, self._is_pinned
        return error

    async def release(self, sent: Sent) -> None:
        """Give up a reply."""
        await self._transport.release(sent)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def _check_headers(self, answer: Answer, expected: dict[str, str], expected_digest: str) -> None:
        for name in (protocol.DIGEST, *protocol.ABOUT):
            if (times := len(answer.headers.get_list(name))) > 1:
                raise self._damaged(f"answered with the header {name} {times} times: {_PROXY_HINT}")
        digest = answer.headers.get(protocol.DIGEST)
        if digest is None:
            raise self._damaged(f"answered without naming a generator: {_PROXY_HINT}")
        if digest != expected_digest:
            raise self.changed(digest, expected_digest)
        received = {name: answer.headers[name] for name in protocol.ABOUT if name in answer.headers}
        if received != expected:
            raise self._damaged(f"answered with other images than those requested ({printable(received)})")

    def _refuse(self, answer: Answer) -> NoReturn:
        said = _message_of(answer)
        sentence = f"{self.name}: answered {answer.status}: {said or _beginning_of(answer)}"
        if answer.status in _BUSY_STATUSES:
            busy = UnavailableError(sentence)
            busy.retry_after = retry_after(answer.headers)
            raise busy
        if answer.status == 404:
            raise RequestError(f"{sentence}: {_URL_HINT}")
        if 400 <= answer.status < 500:
            raise RequestError(f"{self.name}: {said}" if said else sentence)
        if 300 <= answer.status < 400 and (location := answer.headers.get("Location")):
            raise ResponseError(f"{sentence}; it redirects to {printable(location)}: open that URL instead")
        raise ResponseError(sentence)

    def _damaged(self, sentence: str) -> ResponseError:
        """A reply that was spoilt on its way: the next one may be whole."""
        error = ResponseError(f"{self.name}: {sentence}")
        error.is_temporary = True
        return error


class _ModelReply(msgspec.Struct):
    digest: Sha256
    card: msgspec.Raw
    max_count: Annotated[int, msgspec.Meta(ge=1)]


class _Refusal(msgspec.Struct):
    message: str


class _RefusalReply(msgspec.Struct):
    error: _Refusal


def _message_of(answer: Answer) -> str:
    """The sentence in an error reply of drawwell; empty if it is no such reply."""
    try:
        return printable(msgspec.json.decode(answer.body, type=_RefusalReply).error.message)
    except UNREADABLE:
        return ""


def _beginning_of(answer: Answer) -> str:
    """The beginning of the page of another server."""
    return printable(answer.body[:_SHOWN_PAGE_BYTES].decode(errors="replace") or answer.reason)
