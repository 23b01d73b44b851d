"""A generator behind HTTP, with the calls of a local one."""

import email.utils
import functools
import logging
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import httpx
import msgspec
import numpy as np
import numpy.typing as npt

from drawwell import wire
from drawwell.batch import Batch, CheckedLabels, Labels, address, allocate, check_labels, labels_at, labels_of
from drawwell.card import UNREADABLE, ModelCard, card_from_json
from drawwell.errors import (
    GeneratorFileError,
    RequestError,
    ResponseError,
    UnavailableError,
    UnreachableError,
)
from drawwell.latents import CheckedIndices, Indices

if TYPE_CHECKING:
    import tenacity

logger = logging.getLogger("drawwell.client")

REQUEST_IMAGES = 4096
"""Images asked for at once: a connection that breaks costs at most these, and a request is under 65,536 indices."""

_BUSY = (429, 502, 503, 504)

Result = TypeVar("Result")


class Client:
    """A remote generator. Whatever is retried gives the same bytes, since a request is a pure function.

    ``timeout`` is in seconds, for each connect, read and write; ``retry_for`` is the time in seconds after which a
    failing call is given up. Calls from several threads are safe. Pickled, it travels as its URL. A key comes from DRAWWELL_KEY.
    """

    def __init__(self, url: str, timeout: float = 30.0, retry_for: float = 60.0) -> None:
        """Ask the server for its card. Raises ``UnreachableError``, ``UnavailableError`` or ``ResponseError``."""
        self._url, self._timeout, self._retry_for = url, timeout, retry_for
        try:
            self._http = httpx.Client(base_url=url, timeout=timeout, headers=wire.authorization())
        except httpx.InvalidURL as error:
            raise RequestError(f"{url}: {error}") from None
        try:
            self._digest, self._card, self._max_count = self._retried(self._model)
        except BaseException:
            self._http.close()
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
        labels: Labels | None = None,
    ) -> Batch:
        """Draw the images of indices ``start`` to ``start + count - 1`` of ``seed``, or those of ``indices``, in their order.

        ``labels``, one for all or one for each, are the classes to draw, in place of those that belong to the addresses.

        Raises ``RequestError`` for a seed or an index outside [0, 2**63), a count below 1, or labels that the generator
        has not; a ``ServerError`` after all retries.
        """
        seed, chosen = address(seed, count, start, indices)
        given = check_labels(self._card, labels, len(chosen))
        images = allocate(len(chosen), self._card)
        size = min(REQUEST_IMAGES, self._max_count)
        for first in range(0, len(chosen), size):
            last = first + size
            draw = functools.partial(self._draw, seed, chosen[first:last], labels_at(given, first, last))
            images[first:last] = self._retried(draw)
        return Batch(images, labels_of(self._card, seed, chosen, given), seed, chosen, self._digest)

    def close(self) -> None:
        """Close the connections. The client draws no more."""
        self._http.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._url, self._timeout, self._retry_for, self._digest)

    def _model(self) -> tuple[str, ModelCard, int]:
        answer = self._send("GET", "model")
        try:
            model = msgspec.json.decode(answer.content, type=_Model)
            return model.digest, card_from_json(model.card), model.max_count
        except (*UNREADABLE, GeneratorFileError) as error:
            raise ResponseError(f"{self._url}: is no drawwell server, or one of another version ({error})") from error

    def _draw(self, seed: int, piece: CheckedIndices, labels: CheckedLabels | None) -> npt.NDArray[np.uint8]:
        what: dict[str, Any] = (
            {"start": piece.start, "count": len(piece)} if isinstance(piece, range) else {"indices": piece.tolist()}
        )
        if labels is not None:
            what["labels"] = labels.tolist() if isinstance(labels, np.ndarray) else labels
        answer = self._send("POST", "generate", json={"seed": seed, **what}, headers={"Accept": wire.NPY_TYPE})
        self._check_digest(answer)
        came = {name: answer.headers[name] for name in wire.ABOUT if name in answer.headers}
        if came != wire.about(seed, piece, labels):
            raise _DamagedError(f"{self._url}: answered for other images than those asked for ({came})")
        try:
            return wire.parse_npy(answer.content, (len(piece), *self._card.image_shape))
        except ValueError as error:
            raise _DamagedError(f"{self._url}: {error}") from error

    def _check_digest(self, answer: httpx.Response) -> None:
        digest = answer.headers.get(wire.DIGEST)
        if digest is None:
            raise _DamagedError(f"{self._url}: answered without naming a generator: does something stand in between?")
        if digest != self._digest:
            raise ResponseError(f"{self._url}: now serves the generator {digest}, not {self._digest}: open it again")

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.RequestError as error:
            raise UnreachableError(f"{self._url}: {error or type(error).__name__}") from error
        if answer.status_code in _BUSY:
            raise _BusyError(f"{self._url}: answered {answer.status_code}: {_message(answer)}", _retry_after(answer))
        if answer.is_client_error:
            raise RequestError(f"{self._url}: {_message(answer)}")
        if not answer.is_success:
            raise ResponseError(f"{self._url}: answered {answer.status_code}: {_message(answer)}")
        return answer

    def _retried(self, call: Callable[[], Result]) -> Result:
        """Call until it works, waiting up to 0.2 s, 0.4 s, ... 5 s, chosen at random so that clients do not come back together.

        A ``Retry-After`` is waited for whole, and up to a second more.
        """
        import tenacity  # so that `import drawwell` stays light

        backoff = tenacity.wait_random_exponential(multiplier=0.2, max=5)  # "full jitter"

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, _BusyError) else None
            return backoff(state) if asked is None else asked + random.uniform(0, 1)

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((UnreachableError, UnavailableError, _DamagedError)),
            wait=wait,
            stop=tenacity.stop_before_delay(self._retry_for),
            before_sleep=self._say_once,
            reraise=True,
        )(call)

    def _say_once(self, state: "tenacity.RetryCallState") -> None:
        """A pipeline that waits should say for what, and not say it a hundred times."""
        level = logging.WARNING if state.attempt_number == 1 else logging.DEBUG
        error = state.outcome.exception() if state.outcome else None
        logger.log(level, "%s; trying again for up to %g s", error, self._retry_for)


class _Model(msgspec.Struct):
    digest: str
    card: msgspec.Raw
    max_count: Annotated[int, msgspec.Meta(ge=1)]


class _DamagedError(ResponseError):
    """A reply that was spoilt on its way: the next one may be whole."""


class _BusyError(UnavailableError):
    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def _reopen(url: str, timeout: float, retry_for: float, digest: str) -> Client:
    client = Client(url, timeout, retry_for)
    if client.digest != digest:
        client.close()
        raise ResponseError(f"{url}: now serves the generator {client.digest}, not {digest}: open it again")
    return client


def _message(answer: httpx.Response) -> str:
    """The sentence in an error reply of ours, or the beginning of whatever another server in between said."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200] or answer.reason_phrase


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds to wait, from either form of ``Retry-After`` (RFC 9110, section 10.2.3); None where there is none that makes sense."""
    value = answer.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
