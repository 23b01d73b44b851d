"""A generator behind HTTP, with the calls of a local one."""

import email.utils
import functools
import logging
import math
import numbers
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from drawwell import __version__
from drawwell.addresses.latents import CheckedIndices, Indices
from drawwell.errors import (
    GeneratorFileError,
    RequestError,
    ResponseError,
    UnavailableError,
    UnreachableError,
)
from drawwell.files.card import UNREADABLE, ModelCard, Sha256, card_from_json
from drawwell.generator import Batch, CheckedLabels, LabelChoice, address, allocate, check_labels, labels_at, labels_of
from drawwell.http import protocol as wire
from drawwell.http.transport import Answer, HopelessError, Transport
from drawwell.text import printable

if TYPE_CHECKING:
    import tenacity

logger = logging.getLogger("drawwell.client")

REQUEST_IMAGES = 4096
"""Images asked for at once: a connection that breaks costs at most these, and a request is under 65,536 indices."""

_REQUEST_BYTES = 2**28
"""Asked for at once, if that is more than one image: 4,096 images of 128 px are less. A reply is held in memory."""
_MODEL_BYTES = 2**23
"""More than any card; with 1,000 classes and all measures of each it has 1 MB."""
_PAGE_BYTES = 200
"""Shown of a page that another server answers with."""
_MOST_SECONDS = 10**6
"""Eleven days; sockets take no timeout that is much longer."""
_BUSY = (429, 502, 503, 504)

Result = TypeVar("Result")


class Client:
    """A remote generator. Whatever is retried gives the same bytes, since a request is a pure function.

    ``timeout`` is in seconds, for each connect, read and write; ``retry_for`` is the time in seconds after which a
    failing call is given up. A request for up to 4,096 images ends after ``retry_for`` and ``timeout`` together, whatever
    the server does, unless the images come, at 64 KiB a second or more. Calls from several threads are safe. A forked process
    makes its own connections. Pickled, the client travels as its URL. A key comes from DRAWWELL_KEY.
    """

    def __init__(self, url: str, timeout: float = 30.0, retry_for: float = 60.0) -> None:
        """Ask the server for its card.

        Raises ``UnreachableError``, ``UnavailableError`` or ``ResponseError``, and ``RequestError`` for a URL that names no
        server, for seconds that are none, and for variables of the environment (proxy, certificates, key) that are wrong.
        """
        _check_seconds("timeout", timeout)
        _check_seconds("retry_for", retry_for, or_none=True)
        self._url, self._timeout, self._retry_for = url, timeout, retry_for
        self._name, self._closed = printable(url), False
        self._transport = Transport(url, timeout, _HEADERS | wire.authorization())
        try:
            self._digest, self._card, self._max_count = self._retried(self._model)
        except BaseException:
            self._transport.close()
            raise

    @property
    def card(self) -> ModelCard:
        """What the generator says of itself."""
        return self._card

    @property
    def digest(self) -> str:
        """SHA-256 of the generator file, 64 hex digits. A server that changes its generator is refused from then on."""
        return self._digest

    def generate(
        self,
        seed: int,
        count: int | None = None,
        start: int = 0,
        *,
        indices: Indices | None = None,
        labels: LabelChoice | None = None,
    ) -> Batch:
        """Draw the images of indices ``start`` to ``start + count - 1`` of ``seed``, or those of ``indices``, in their order.

        ``labels``, one for all or one for each, are the classes to draw, in place of those that belong to the addresses.

        Raises ``RequestError`` for a seed or an index outside [0, 2**63), a count below 1, or labels that the generator
        has not; a ``ServerError`` after all retries.
        """
        seed, chosen = address(seed, count, start, indices)
        given = check_labels(self._card, labels, len(chosen))
        images = allocate(len(chosen), self._card)
        size = min(REQUEST_IMAGES, self._max_count, max(1, _REQUEST_BYTES // math.prod(self._card.image_shape)))
        for first in range(0, len(chosen), size):
            last = first + size
            draw = functools.partial(self._draw, seed, chosen[first:last], labels_at(given, first, last))
            images[first:last] = self._retried(draw)
        return Batch(images, labels_of(self._card, seed, chosen, given), seed, chosen, self._digest)

    def close(self) -> None:
        """Close the connections. The client draws no more."""
        self._closed = True
        self._transport.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._url, self._timeout, self._retry_for, self._digest)

    def _model(self, ends: float) -> tuple[str, ModelCard, int]:
        answer = self._send("GET", "model", ends, _MODEL_BYTES, "application/json")
        try:
            model = msgspec.json.decode(answer.body, type=_Model)
            return model.digest, card_from_json(model.card), model.max_count
        except (*UNREADABLE, GeneratorFileError) as error:
            sentence = f"is no drawwell server, or one of another version ({printable(error)})"
            raise ResponseError(f"{self._name}: {sentence}") from error

    def _draw(
        self, seed: int, piece: CheckedIndices, labels: CheckedLabels | None, ends: float
    ) -> npt.NDArray[np.uint8]:
        which: dict[str, Any] = (
            {"start": piece.start, "count": len(piece)} if isinstance(piece, range) else {"indices": piece.tolist()}
        )
        if labels is not None:
            which["labels"] = labels.tolist() if isinstance(labels, np.ndarray) else labels
        shape = (len(piece), *self._card.image_shape)
        most_bytes = wire.npy_bytes(shape) + 1  # one more shows a reply that goes on
        body = msgspec.json.encode({"seed": seed, **which})
        answer = self._send("POST", "generate", ends, most_bytes, wire.NPY_TYPE, body, wire.npy_header(shape))
        self._check_once(answer)
        self._check_digest(answer)
        came = {name: answer.headers[name] for name in wire.ABOUT if name in answer.headers}
        if came != wire.about(seed, piece, labels):
            raise self._damaged(f"answered for other images than those asked for ({printable(came)})")
        try:
            return wire.parse_npy(answer.body, shape)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _check_once(self, answer: Answer) -> None:
        for name in (wire.DIGEST, *wire.ABOUT):
            if (times := len(answer.headers.get_list(name))) > 1:
                raise self._damaged(f"answered with the header {name} {times} times: does something stand in between?")

    def _check_digest(self, answer: Answer) -> None:
        digest = answer.headers.get(wire.DIGEST)
        if digest is None:
            raise self._damaged("answered without naming a generator: does something stand in between?")
        if digest != self._digest:
            raise _changed(self._name, digest, self._digest)

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
            raise RequestError("this generator is closed")
        content_type = {"Content-Type": "application/json"} if body else {}
        # an attempt has at least the time that one read has
        ends = max(ends, time.monotonic() + self._timeout)
        headers = {"Accept": accept} | content_type
        answer = self._transport.exchange(method, path, headers, body, most_bytes, ends, begins)
        if answer.status != 200:
            self._refuse(answer)
        if (encoding := answer.headers.get("Content-Encoding", "").strip()).lower() not in ("", "identity"):
            sentence = f"answered in the encoding {printable(encoding)!r}, which was not asked for"
            raise ResponseError(
                f"{self._name}: {sentence}: turn compression off in the server or what stands in between"
            )
        return answer

    def _refuse(self, answer: Answer) -> NoReturn:
        said = _said(answer)
        sentence = f"{self._name}: answered {answer.status}: {said or _beginning(answer)}"
        if answer.status in _BUSY:
            raise _BusyError(sentence, _retry_after(answer.headers))
        if 400 <= answer.status < 500:
            raise RequestError(f"{self._name}: {said}" if said else sentence)
        if 300 <= answer.status < 400 and (location := answer.headers.get("Location")):
            raise ResponseError(f"{sentence}; it sends to {printable(location)}: open that server itself")
        raise ResponseError(sentence)

    def _damaged(self, sentence: str) -> "_DamagedError":
        return _DamagedError(f"{self._name}: {sentence}")

    def _retried(self, call: Callable[[float], Result]) -> Result:
        """Call until it works, waiting up to 0.2 s, 0.4 s, ... 5 s, chosen at random so that clients do not come back together.

        A ``Retry-After`` is waited for whole, and up to a second more. ``call`` is told when its time ends.
        """
        import tenacity  # so that `import drawwell` stays light

        backoff = tenacity.wait_random_exponential(multiplier=0.2, max=5)  # "full jitter"

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, _BusyError) else None
            return backoff(state) if asked is None else asked + random.uniform(0, 1)

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=wait,
            stop=tenacity.stop_before_delay(self._retry_for),
            before_sleep=self._say_once,
            reraise=True,
        )(call, time.monotonic() + self._retry_for)

    def _say_once(self, state: "tenacity.RetryCallState") -> None:
        """A pipeline that waits should say for what, and not say it a hundred times."""
        level = logging.WARNING if state.attempt_number == 1 else logging.DEBUG
        error = state.outcome.exception() if state.outcome else None
        logger.log(level, "%s; trying again for up to %g s", error, self._retry_for)


_HEADERS = {"User-Agent": f"drawwell/{__version__}", "Accept-Encoding": "identity"}


class _Model(msgspec.Struct):
    digest: Sha256
    card: msgspec.Raw
    max_count: Annotated[int, msgspec.Meta(ge=1)]


class _Refusal(msgspec.Struct):
    message: str


class _RefusalReply(msgspec.Struct):
    error: _Refusal


class _DamagedError(ResponseError):
    """A reply that was spoilt on its way: the next one may be whole."""


class _BusyError(UnavailableError):
    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def _may_pass(error: BaseException) -> bool:
    """Whether the next attempt may work."""
    return isinstance(error, (UnreachableError, UnavailableError, _DamagedError)) and not isinstance(
        error, HopelessError
    )


def _check_seconds(name: str, seconds: float, or_none: bool = False) -> None:
    is_number = isinstance(seconds, numbers.Real) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= _MOST_SECONDS or (seconds == 0 and not or_none):
        least = "0 or more" if or_none else "more than 0"
        raise RequestError(
            f"{name} must be in seconds, {least} and at most {_MOST_SECONDS:,}, not {printable(repr(seconds))}"
        )


def _reopen(url: str, timeout: float, retry_for: float, digest: str) -> Client:
    client = Client(url, timeout, retry_for)
    if client.digest != digest:
        client.close()
        raise _changed(printable(url), client.digest, digest)
    return client


def _changed(name: str, digest: str, expected: str) -> ResponseError:
    return ResponseError(f"{name}: now serves the generator {printable(digest, 64)}, not {expected}: open it again")


def _said(answer: Answer) -> str:
    """The sentence in an error reply of ours; empty where it is no such reply."""
    try:
        return printable(msgspec.json.decode(answer.body, type=_RefusalReply).error.message)
    except UNREADABLE:
        return ""


def _beginning(answer: Answer) -> str:
    """Of the page of another server."""
    return printable(answer.body[:_PAGE_BYTES].decode(errors="replace") or answer.reason)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from either form of ``Retry-After`` (RFC 9110, section 10.2.3); None where there is none that makes sense."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
