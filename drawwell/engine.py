"""A generator file on ONNX Runtime: addresses in, uint8 images out."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drawwell.batch import Batch, address, allocate, labels_of
from drawwell.card import ModelCard
from drawwell.errors import GeneratorFileError, ProviderError, RequestError
from drawwell.fingerprint import fingerprint
from drawwell.generator_file import read_generator
from drawwell.latents import Indices, latents
from drawwell.session import Provider, open_session, provider_of

PIECE_IMAGES = 64
"""Images in one run of the session: throughput gains nothing beyond, and a piece takes some milliseconds."""


class Engine:
    """A local generator. Every image depends on ``(digest, seed, index)`` alone, not on what it is drawn together with.

    ``threads`` is the number of threads that one run may use, by default one a core. Calls from several threads
    are safe. Pickled, it travels as its path, and draws with one thread where it arrives.
    """

    def __init__(self, path: str | Path, provider: Provider = "auto", threads: int | None = None) -> None:
        """Load, check and try a generator file.

        Raises ``GeneratorFileError`` for a file that is no whole generator, and ``ProviderError`` where the provider
        cannot be had or draws other pixels than the card's known answers.
        """
        file = read_generator(Path(path))
        self._path, self._asked, self._card, self._digest = Path(path).resolve(), provider, file.card, file.digest
        self._threads = threads
        self._session: Any = open_session(file, provider, threads)
        self._provider = provider_of(self._session)
        self._check_known_answers()

    @property
    def card(self) -> ModelCard:
        """What the generator says of itself."""
        return self._card

    @property
    def digest(self) -> str:
        """SHA-256 of the generator file, 64 hex digits."""
        return self._digest

    @property
    def provider(self) -> str:
        """The execution provider in use: ``cuda`` or ``cpu``."""
        return self._provider

    @property
    def threads(self) -> int | None:
        """The most threads that one run may use; None is one a core."""
        return self._threads

    @property
    def fingerprint(self) -> str:
        """The render fingerprint: what the bytes may depend on besides the digest and the address."""
        return fingerprint(self._provider)

    def generate(self, seed: int, count: int | None = None, start: int = 0, *, indices: Indices | None = None) -> Batch:
        """Draw the images of indices ``start`` to ``start + count - 1`` of ``seed``, or those of ``indices``, in their order.

        Raises ``RequestError`` for a seed or an index outside [0, 2**63), a count below 1, or more than memory holds.
        """
        seed, chosen = address(seed, count, start, indices)
        images = allocate(len(chosen), self._card)
        for first in range(0, len(chosen), PIECE_IMAGES):
            images[first : first + PIECE_IMAGES] = self.draw(seed, chosen[first : first + PIECE_IMAGES])
        return Batch(images, labels_of(self._card, seed, chosen), seed, chosen, self._digest)

    def draw(self, seed: int, piece: Indices) -> npt.NDArray[np.uint8]:
        """Draw one piece of at most ``PIECE_IMAGES`` indices: uint8 ``[n, H, W, C]``."""
        z = latents(seed, piece, self._card.latent_dim, self._card.prior)
        return self._run(z, labels_of(self._card, seed, piece))

    def close(self) -> None:
        """Free the session. The engine draws no more."""
        self._session = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._path, self._asked, self._digest)

    def _run(self, z: npt.NDArray[np.float32], labels: npt.NDArray[np.int64] | None) -> npt.NDArray[np.uint8]:
        if self._session is None:
            raise RequestError("this generator is closed")
        feeds: dict[str, npt.NDArray[Any]] = {"z": z} if labels is None else {"z": z, "label": labels}
        if self._provider == "cuda":  # cuDNN picks its algorithms by shape, so there is one shape only
            feeds = {name: _padded(rows) for name, rows in feeds.items()}
        try:
            images: npt.NDArray[np.uint8] = self._session.run(["images"], feeds)[0][: len(z)]
        except Exception as error:  # onnxruntime's exceptions have no common base but this one
            raise ProviderError(f"drawing failed on {self._provider} ({str(error).splitlines()[0]})") from error
        return images

    def _check_known_answers(self) -> None:
        known = self._card.known_answers
        distance = known.distance(self.generate(known.seed, indices=known.indices).images)
        if distance > known.tolerance_levels:
            raise ProviderError(
                f"{self._path}: drawn on {self._provider}, its known answers are off by {distance} levels, "
                f"{known.tolerance_levels} are allowed: the file's weights, this build of onnxruntime or this processor "
                "is at fault; another provider may do"
            )


def _padded(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    padded = np.zeros_like(rows, shape=(PIECE_IMAGES, *rows.shape[1:]))
    padded[: len(rows)] = rows
    return padded


def _reopen(path: Path, provider: Provider, digest: str) -> Engine:
    engine = Engine(path, provider, threads=1)
    if engine.digest != digest:
        raise GeneratorFileError(f"{path}: has changed since it was opened")
    return engine
