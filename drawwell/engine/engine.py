"""A generator file on ONNX Runtime: addresses in, uint8 images out."""

import threading
from collections import deque
from collections.abc import Sized
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from drawwell import forking
from drawwell.addresses.latents import CheckedIndices, Indices, check_indices, latents
from drawwell.engine.backends import Backend, Feeds, feeds_of, open_backend
from drawwell.engine.fingerprint import fingerprint
from drawwell.engine.onnx_session import Provider
from drawwell.errors import GeneratorFileError, ProviderError, RequestError
from drawwell.files.card import ModelCard
from drawwell.files.generator_file import GeneratorFile, read_generator
from drawwell.formats.png import Images
from drawwell.generator import (
    Batch,
    CheckedLabels,
    LabelChoice,
    address,
    allocate,
    check_labels,
    labels_at,
    labels_of,
    members_of,
    pieces,
)
from drawwell.text import printable


class Engine:
    """A local generator. Every image depends on ``(digest, seed, index)`` alone, not on what it is drawn together with.

    ``threads`` is the most that draw at once on a processor, by default one a core, whatever the number of callers; a
    device has its own. Pickled, the engine travels as its path, and draws with one thread where it arrives. A forked process
    loads the file anew, and draws with one thread too.
    ``cuda_graph`` records the kernels of a run on CUDA once and replays them, which spares their launches.
    """

    def __init__(
        self, path: str | Path, provider: Provider = "auto", threads: int | None = None, *, cuda_graph: bool = False
    ) -> None:
        """Load, check and try a generator file.

        Raises ``GeneratorFileError`` for a file that is no whole generator, and ``ProviderError`` where the provider
        cannot be had or draws other pixels than the card's known answers. Raises ``RequestError`` for a wrong argument.
        """
        file = read_generator(Path(path))
        self._path, self._card, self._digest = Path(path).resolve(), file.card, file.digest
        self._asked, self._cuda_graph = provider, cuda_graph
        self._calls, self._closed, self._counting = 0, False, threading.Condition()
        self._backend: Backend | None = None
        self._load(file, threads)
        forking.at_fork(self, Engine._forked)

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
    def threads(self) -> int:
        """The most that draw at once."""
        return self._threads

    @property
    def piece_images(self) -> int:
        """The most images in one run: longer calls are drawn in pieces, so that short ones get between them."""
        return self._piece_images

    @property
    def fingerprint(self) -> str:
        """The render fingerprint: what the bytes may depend on besides the digest and the address."""
        return fingerprint(self._provider, self._piece_images if self._provider == "cuda" else None)

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

        Raises ``RequestError`` for a seed or an index outside [0, 2**63), a count below 1, labels that it has not, or more than
        memory holds.
        """
        seed, chosen = address(seed, count, start, indices)
        given = check_labels(self._card, labels, len(chosen))
        images = allocate(len(chosen), self._card)
        alone = self._begin()
        try:
            if alone and self._is_handful(chosen):
                images[:] = self._run(self.feeds(seed, chosen, given), True)
            else:
                self._draw_into(images, seed, chosen, given)
        finally:
            self._end()
        return Batch(images, labels_of(self._card, seed, chosen, given), seed, chosen, self._digest)

    def feeds(self, seed: int, indices: CheckedIndices, labels: CheckedLabels | None = None) -> Feeds:
        """The inputs of the generator at these addresses: ``z`` float32 ``[N, D]``, ``label`` int64 ``[N]`` where it has classes,

        and ``member`` int64 ``[N]`` where it is a mixture.
        """
        z = latents(seed, indices, self._card.latent_dim, self._card.prior)
        return feeds_of(z, labels_of(self._card, seed, indices, labels), members_of(self._card, seed, indices))

    def draw(self, feeds: Feeds) -> Images:
        """Draw up to ``piece_images`` rows of ``feeds`` in one run, on the calling thread: uint8 ``[N, H, W, C]``.

        Raises ``ProviderError`` where drawing fails, ``RequestError`` once closed.
        """
        alone = self._begin()
        try:
            return self._run(feeds, alone and self._is_handful(feeds["z"]))
        finally:
            self._end()

    def check(self) -> None:
        """Draw the card's known answers. Raises ``ProviderError`` unless the pixels are right, ``RequestError`` once closed."""
        self._begin()
        try:
            self._check()
        finally:
            self._end()

    def _check(self) -> None:
        known = self._card.known_answers
        several = pieces(check_indices(known.indices), self._piece_images)
        together = np.concatenate([self._run(self.feeds(known.seed, piece), False) for piece in several])
        single = [range(index, index + 1) for index in known.indices]
        singly = np.concatenate([self._run(self.feeds(known.seed, piece), True) for piece in single])
        if not np.array_equal(together, singly):
            raise ProviderError(
                f"{printable(self._path)}: drawn on {self._provider}, an image depends on what it is drawn together with, so no "
                "address would hold: with threads=1 or on another provider it may not"
            )
        distances = known.distances(together)
        off = np.count_nonzero(distances > known.tolerance_levels)
        if off > known.may_differ:
            raise ProviderError(
                f"{printable(self._path)}: drawn on {self._provider}, {off} of its {len(distances)} known answers are off by more than "
                f"{known.tolerance_levels} of 255 levels (by up to {distances.max()}), {known.may_differ or 'none'} may be: "
                f"{_CURES.get(self._card.target, _CURE)}"
            )

    def close(self) -> None:
        """Draw what was asked for, end the threads, and free the sessions. The engine draws no more."""
        with self._counting:
            self._closed = True
            self._counting.wait_for(lambda: self._calls == 0)
        self._pool.shutdown()
        self._backend = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._path, self._asked, self._digest)

    def _load(self, file: GeneratorFile, threads: int | None) -> None:
        backend = open_backend(file, self._asked, threads, self._cuda_graph)
        self._backend, self._provider = backend, backend.provider
        self._threads, self._piece_images = backend.threads, backend.piece_images
        self._pool = ThreadPoolExecutor(self._threads, "draw")
        self._drawing = threading.Semaphore(self._threads)
        self._check()

    def _forked(self) -> None:
        forking.keep(self._backend, self._pool)
        self._backend, self._calls, self._counting = None, 0, threading.Condition()

    def _load_again(self) -> None:
        file = read_generator(self._path)
        if file.digest != self._digest:
            raise GeneratorFileError(f"{printable(self._path)}: has changed since it was opened")
        try:
            self._load(file, threads=1)
        except BaseException:
            self._backend = None  # the next call shall not draw with what is wrong
            raise

    def _draw_into(self, images: Images, seed: int, indices: CheckedIndices, labels: CheckedLabels | None) -> None:
        """Draw in pieces. The calling thread is one of those that draw: who waits, wakes late."""
        assert self._backend is not None, "it is not closed while a call is answered"
        size = self._backend.piece_of(len(indices))
        todo = deque(range(0, len(indices), size))

        def work() -> None:
            while True:
                try:
                    first = todo.popleft()
                except IndexError:
                    return
                last = first + size
                try:
                    feeds = self.feeds(seed, indices[first:last], labels_at(labels, first, last))
                    images[first:last] = self._run(feeds, False)
                except BaseException:
                    todo.clear()  # nothing of this call is worth drawing any more
                    raise

        helpers = [self._pool.submit(work) for _ in range(min(self._threads, len(todo)) - 1)]
        try:
            work()
        finally:
            for helper in helpers:
                if not helper.cancel():  # one that has not begun is not needed any more
                    helper.result()

    def _run(self, feeds: Feeds, whole: bool) -> Images:
        assert self._backend is not None, "it is not closed while a call is answered"
        with self._drawing:
            return self._backend.run(feeds, whole)

    def _is_handful(self, rows: Sized) -> bool:
        """Too few to be worth a second thread: every core works on each of them, as long as nothing else is drawn."""
        return len(rows) < max(2, self._threads)

    def _begin(self) -> bool:
        """Count a call in, and say whether no other is being answered. Raises ``RequestError`` once closed."""
        with self._counting:
            if self._closed:
                raise RequestError("this generator is closed")
            if self._backend is None:
                self._load_again()
            self._calls += 1
            return self._calls == 1

    def _end(self) -> None:
        with self._counting:
            self._calls -= 1
            self._counting.notify_all()


_CURE = (
    "the file's weights, this build of onnxruntime or this processor is at fault; another provider may do, "
    "or the run exported with --target portable"
)
_CURES = {
    "cpu-int8": "this processor adds products of 8-bit integers with overflow, as those without VNNI do, or the file's "
    "weights are wrong; draw from the float file, exported with --target cpu (of the bundled ones the name without -int8)"
}


def _reopen(path: Path, provider: Provider, digest: str) -> Engine:
    engine = Engine(path, provider, threads=1)
    if engine.digest != digest:
        raise GeneratorFileError(f"{printable(path)}: has changed since it was opened")
    return engine
