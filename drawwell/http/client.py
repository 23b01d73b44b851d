"""A generator behind HTTP, with the calls of a local one."""

import functools
import math
import numbers
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec

from drawwell import __version__
from drawwell.addresses.arguments import Indices
from drawwell.addresses.scale import check_scale
from drawwell.errors import (
    GeneratorFileError,
    RequestError,
    ResponseError,
    UnavailableError,
)
from drawwell.files.budgets import LabelBudgets
from drawwell.files.card import UNREADABLE, ModelCard, Sha256, card_from_json
from drawwell.files.labels import LabelChoice
from drawwell.files.selection import Selection
from drawwell.formats.npy import NPY_TYPE, Npy
from drawwell.generator import Address, Batch, ImageGenerator, Images, Latents, allocate
from drawwell.http import protocol
from drawwell.http.generate_body import about_request, body_of, most_latents
from drawwell.http.retries import retry, retry_after
from drawwell.http.transport import Answer, Transport
from drawwell.image_request import GenerateArguments, ImageRequest, of_interpolation
from drawwell.pieces import slices
from drawwell.text import printable

REQUEST_IMAGES = 4096
"""The most images in one request: a connection that breaks costs at most these, and a request is under 65,536 indices."""
TIMEOUT_SECONDS, RETRY_SECONDS = 30.0, 60.0

_MAX_REPLY_BYTES = 2**28
"""Of a reply with more than one image, which is held in memory: 4,096 images of 128 px are less."""
_MAX_MODEL_BYTES = 2**23
"""More than any card: with 1,000 classes and all measures of each it has 1 MB."""
_SHOWN_PAGE_BYTES = 200
"""Of a page that another server answers with."""
_MAX_SECONDS = 10**6
"""Eleven days; sockets take no timeout that is much longer."""
_BUSY_STATUSES = (429, 502, 503, 504)


class Client(ImageGenerator):
    """A generator on a drawwell server. ``drawwell.open`` makes one from a URL.

    The client retries temporary failures, verifies a SHA-256 of every reply, and raises instead of returning a partial batch. A
    retry gives the same bytes, since an image depends on its address alone. A request for up to 4,096 images ends after
    ``retry_for`` plus ``timeout`` seconds whatever the server does, unless images arrive, at 64 KiB a second or more.

    Any number of threads may call. A forked process makes its own connections. A pickled client travels as its URL, its
    timeouts and the ``key`` that was passed to it, and connects where it is unpickled.

    Example:
        >>> with drawwell.Client("http://127.0.0.1:3000", timeout=10) as client:
        ...     batch = client.generate(seed=7, count=4)
        >>> client.card.name, batch.images.shape
        ('fashion', (4, 28, 28, 1))
    """

    def __init__(
        self,
        url: str,
        timeout: float = TIMEOUT_SECONDS,
        retry_for: float = RETRY_SECONDS,
        *,
        key: str | None = None,
    ) -> None:
        """Connect, and ask the server for its card.

        Args:
            url: Of the server, ``http://...`` or ``https://...``; ``user:password@`` in it is sent as Basic authentication.
            timeout: Seconds for each connect, read and write.
            retry_for: Seconds after which a failing call is given up; 0 tries once.
            key: The server's key, sent as ``Authorization: Bearer KEY``; by default the environment variable DRAWWELL_KEY.

        Raises:
            RequestError: The URL, the seconds or the key are wrong, an environment variable (proxy, certificates) is wrong, or
                the server refuses the key.
            UnreachableError: There is no connection.
            UnavailableError: The server is not ready.
            ResponseError: The reply is not from a drawwell server of this version.
        """
        _check_seconds("timeout", timeout)
        _check_seconds("retry_for", retry_for, or_none=True)
        self._url, self._timeout, self._retry_for, self._key = url, timeout, retry_for, key
        self._name, self._closed = printable(url), False
        self._transport = Transport(url, timeout, _HEADERS, key)
        try:
            self._digest, self._card, self._max_count = retry(self._model, retry_for)
        except BaseException:
            self._transport.close()
            raise

    @property
    def card(self) -> ModelCard:
        """The model card: image size, classes, training data and measured quality."""
        return self._card

    @property
    def digest(self) -> str:
        """SHA-256 of the generator file, 64 hex digits. If the server changes its generator, the next call raises ``ResponseError``."""
        return self._digest

    def generate(
        self,
        seed: int | None = None,
        count: int | None = None,
        start: int = 0,
        *,
        indices: Indices | None = None,
        labels: LabelChoice | None = None,
        per_class: LabelBudgets | None = None,
        selection: Selection | str | Path | None = None,
        truncation: float = 1.0,
        spread: float = 1.0,
        latents: Latents | None = None,
    ) -> Batch:
        """Draw images by their addresses; ``ImageGenerator.generate`` describes the arguments.

        The client finds the indices of ``per_class`` and the latents of ``interpolate`` itself, and sends them.

        Raises:
            RequestError: An argument is wrong, arguments exclude each other, the batch does not fit into memory, the server
                refuses the request, or the client is closed.
            SelectionError: The selection is of another generator, or its file is no whole selection.
            ServerError: The server did not send the whole, right batch within ``retry_for`` seconds.
        """
        arguments = GenerateArguments(
            seed, count, start, indices, labels, per_class, selection, truncation, spread, latents
        )
        return self._answer(arguments.check(self._card, self._digest))

    def interpolate(
        self,
        first: Address,
        last: Address,
        steps: int,
        *,
        labels: LabelChoice | None = None,
        truncation: float = 1.0,
        spread: float = 1.0,
    ) -> Batch:
        """Draw the images between two addresses; ``ImageGenerator.interpolate`` describes the arguments. Raises as ``generate``."""
        scale = check_scale(truncation, spread)
        return self._answer(of_interpolation(first, last, steps, labels, scale, self._card))

    def close(self) -> None:
        """Close the connections. The client draws no more."""
        self._closed = True
        self._transport.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._url, self._timeout, self._retry_for, self._key, self._digest)

    def _answer(self, request: ImageRequest) -> Batch:
        images = allocate(len(request), self._card)
        for places in slices(len(request), self._request_images(request)):
            images[places] = retry(functools.partial(self._draw, request.part(places)), self._retry_for)
        return request.batch(images, self._card, self._digest)

    def _request_images(self, request: ImageRequest) -> int:
        most = REQUEST_IMAGES if request.latents is None else most_latents(self._card.latent_dim)
        return min(most, self._max_count, max(1, _MAX_REPLY_BYTES // math.prod(self._card.image_shape)))

    def _model(self, ends: float) -> tuple[str, ModelCard, int]:
        answer = self._send("GET", "model", ends, _MAX_MODEL_BYTES, "application/json")
        try:
            model = msgspec.json.decode(answer.body, type=_Model)
            return model.digest, card_from_json(model.card), model.max_count
        except (*UNREADABLE, GeneratorFileError) as error:
            sentence = f"is no drawwell server, or one of another version ({printable(error)})"
            raise ResponseError(f"{self._name}: {sentence}") from error

    def _draw(self, request: ImageRequest, ends: float) -> Images:
        shape = (len(request), *self._card.image_shape)
        npy = Npy(shape)
        # one byte more shows a reply that goes on
        answer = self._send("POST", "generate", ends, npy.length + 1, NPY_TYPE, body_of(request), npy.header)
        self._check_headers(answer, about_request(request))
        try:
            return Npy.decode(answer.body, shape)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _check_headers(self, answer: Answer, expected: dict[str, str]) -> None:
        for name in (protocol.DIGEST, *protocol.ABOUT):
            if (times := len(answer.headers.get_list(name))) > 1:
                raise self._damaged(f"answered with the header {name} {times} times: {_PROXY_HINT}")
        digest = answer.headers.get(protocol.DIGEST)
        if digest is None:
            raise self._damaged(f"answered without naming a generator: {_PROXY_HINT}")
        if digest != self._digest:
            raise _changed(self._name, digest, self._digest)
        received = {name: answer.headers[name] for name in protocol.ABOUT if name in answer.headers}
        if received != expected:
            raise self._damaged(f"answered with other images than those requested ({printable(received)})")

    def _send(
        self,
        method: str,
        path: str,
        ends: float,
        most_bytes: int,
        accept: str,
        body: bytes = b"",
        begins: bytes = b"",
    ) -> Answer:
        if self._closed:
            raise RequestError("this generator is closed: open it again")
        content_type = {"Content-Type": "application/json"} if body else {}
        # an attempt has at least the time that one read has
        ends = max(ends, time.monotonic() + self._timeout)
        answer = self._transport.exchange(
            method, path, {"Accept": accept} | content_type, body, most_bytes, ends, begins
        )
        if answer.status != 200:
            self._refuse(answer)
        if (encoding := answer.headers.get("Content-Encoding", "").strip()).lower() not in ("", "identity"):
            sentence = f"answered in the encoding {printable(encoding)!r}, which was not asked for"
            raise ResponseError(
                f"{self._name}: {sentence}: turn compression off in the server, or in a proxy before it"
            )
        return answer

    def _refuse(self, answer: Answer) -> NoReturn:
        said = _message_of(answer)
        sentence = f"{self._name}: answered {answer.status}: {said or _beginning_of(answer)}"
        if answer.status in _BUSY_STATUSES:
            busy = UnavailableError(sentence)
            busy.retry_after = retry_after(answer.headers)
            raise busy
        if 400 <= answer.status < 500:
            raise RequestError(f"{self._name}: {said}" if said else sentence)
        if 300 <= answer.status < 400 and (location := answer.headers.get("Location")):
            raise ResponseError(f"{sentence}; it redirects to {printable(location)}: open that URL instead")
        raise ResponseError(sentence)

    def _damaged(self, sentence: str) -> ResponseError:
        """A reply that was spoilt on its way: the next one may be whole."""
        error = ResponseError(f"{self._name}: {sentence}")
        error.is_temporary = True
        return error


_HEADERS = {"User-Agent": f"drawwell/{__version__}", "Accept-Encoding": "identity"}
_PROXY_HINT = "is there a proxy before the server that changes replies?"


class _Model(msgspec.Struct):
    digest: Sha256
    card: msgspec.Raw
    max_count: Annotated[int, msgspec.Meta(ge=1)]


class _Refusal(msgspec.Struct):
    message: str


class _RefusalReply(msgspec.Struct):
    error: _Refusal


def _check_seconds(name: str, seconds: float, or_none: bool = False) -> None:
    is_number = isinstance(seconds, numbers.Real) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= _MAX_SECONDS or (seconds == 0 and not or_none):
        least = "0 or more" if or_none else "more than 0"
        raise RequestError(
            f"{name} must be in seconds, {least} and at most {_MAX_SECONDS:,}, not {printable(repr(seconds))}"
        )


def _reopen(url: str, timeout: float, retry_for: float, key: str | None, digest: str) -> Client:
    client = Client(url, timeout, retry_for, key=key)
    if client.digest != digest:
        client.close()
        raise _changed(printable(url), client.digest, digest)
    return client


def _changed(name: str, digest: str, expected: str) -> ResponseError:
    return ResponseError(f"{name}: now serves the generator {printable(digest, 64)}, not {expected}: open it again")


def _message_of(answer: Answer) -> str:
    """The sentence in an error reply of drawwell; empty if it is no such reply."""
    try:
        return printable(msgspec.json.decode(answer.body, type=_RefusalReply).error.message)
    except UNREADABLE:
        return ""


def _beginning_of(answer: Answer) -> str:
    """The beginning of the page of another server."""
    return printable(answer.body[:_SHOWN_PAGE_BYTES].decode(errors="replace") or answer.reason)
