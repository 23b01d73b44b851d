"""A generator behind HTTP, with the calls of a local one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drawwell.addresses.arguments import Indices
from drawwell.addresses.scale import check_scale
from drawwell.files.budgets import LabelBudgets
from drawwell.files.card import ModelCard
from drawwell.files.labels import LabelChoice
from drawwell.files.selection import Selection
from drawwell.generator import Address, Batch, ImageGenerator, Latents
from drawwell.http.connections import BlockingConnections, run
from drawwell.http.core import TIMEOUT_SECONDS, Core, Settings, short
from drawwell.http.keys import Key
from drawwell.image_request import GenerateArguments


class Client(ImageGenerator):
    """A generator on a drawwell server, or on several. ``drawwell.open`` makes one from a URL, or from a list of URLs.

    The client retries temporary failures, verifies a SHA-256 of every reply, and raises instead of returning a partial batch. A
    retry gives the same bytes, since an image depends on its address alone. A request for up to 4,096 images ends after
    ``retry_for`` plus ``timeout`` seconds whatever the server does, unless images arrive, at 64 KiB a second or more.

    Several servers are one: all must have the same generator. The client asks the first that works, goes to the next one at
    once when it fails, and comes back to it later. Each server that fails may add ``timeout`` seconds to a request.

    Any number of threads may call. A forked process makes its own connections. A pickled client travels as its URL, its
    timeouts, its digest and the ``key`` that was passed to it, and connects where it is unpickled.

    Example:
        >>> with drawwell.Client("http://127.0.0.1:3000", timeout=10) as client:
        ...     batch = client.generate(seed=7, count=4)
        >>> client.card.name, batch.images.shape
        ('fashion', (4, 28, 28, 1))
    """

    def __init__(
        self,
        url: str | Sequence[str],
        timeout: float = TIMEOUT_SECONDS,
        retry_for: float | None = None,
        *,
        key: Key | None = None,
        digest: str | None = None,
        pin: bool = True,
    ) -> None:
        """Connect, and ask the server for its card.

        Args:
            url: Of the server, ``http://...`` or ``https://...``, or a list of several; ``user:password@`` in a URL is sent
                to its server as Basic authentication.
            timeout: Seconds for each connect, read and write.
            retry_for: Seconds after which a failing call is given up; 0 tries once. By default the environment variable
                DRAWWELL_RETRY_FOR, or else 60.
            key: The server's key, sent as ``Authorization: Bearer KEY``; by default the environment variable DRAWWELL_KEY.
                For servers on several hosts a mapping from URLs to keys: no host is sent the key of another one.
            digest: SHA-256 of the generator to draw with, 64 hex digits. A server that replies with another one, as a new replica
                behind a balancer does, is asked again; the call fails if none had this one within ``retry_for`` seconds. By default
                the generator that the servers have now: then another one stops the call at once.
            pin: Whether a server that changes its generator stops the calls with ``ResponseError``. With ``False`` the
                client goes over to the new generator; ``Batch.digest`` names the one that drew a batch.

        Raises:
            RequestError: The URL, the seconds, the digest or the key are wrong, an environment variable (proxy, certificates,
                seconds) is wrong, or the server refuses the key.
            UnreachableError: There is no connection.
            UnavailableError: The server is not ready.
            ResponseError: The reply is not from a drawwell server of this version, or the servers have different generators.
        """
        self._open(Settings(url, timeout, retry_for, key, digest, pin))

    def _open(self, settings: Settings) -> None:
        self._core = Core(BlockingConnections, settings)
        try:
            run(short(self._core.open()))
        except BaseException:
            self.close()
            raise

    @property
    def card(self) -> ModelCard:
        """The model card: image size, classes, training data and measured quality."""
        return self._core.model.card

    @property
    def digest(self) -> str:
        """SHA-256 of the generator file, 64 hex digits. If the server changes its generator, the next call raises ``ResponseError``."""
        return self._core.model.digest

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
            SelectionError: The selection is of another generator, or its file is no whole selection.
            RequestError: An argument is wrong, arguments exclude each other, the batch does not fit into memory, the server
                refuses the request, or the client is closed.
            ServerError: The server did not send the whole, right batch within ``retry_for`` seconds.
        """
        arguments = GenerateArguments(
            seed, count, start, indices, labels, per_class, selection, truncation, spread, latents
        )
        return run(short(self._core.generate(arguments)))

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
        return run(short(self._core.interpolate(first, last, steps, labels, scale)))

    def close(self) -> None:
        """Close the connections. The client draws no more."""
        run(self._core.close())

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._core.pickled,)


def _reopen(settings: Settings) -> Client:
    client = Client.__new__(Client)
    client._open(settings)
    return client
