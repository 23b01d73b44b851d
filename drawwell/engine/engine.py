"""A generator file on ONNX Runtime: addresses in, uint8 images out."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from drawwell import forking
from drawwell.addresses.arguments import CheckedIndices, Indices, check_indices
from drawwell.addresses.scale import check_scale
from drawwell.engine.backends import Backend, open_backend
from drawwell.engine.fingerprint import fingerprint
from drawwell.engine.onnx_session import Provider
from drawwell.errors import GeneratorFileError, ProviderError, RequestError
from drawwell.files.budgets import LabelBudgets
from drawwell.files.card import ModelCard
from drawwell.files.generator_file import GeneratorFile, read_generator
from drawwell.files.labels import CheckedLabels, LabelChoice
from drawwell.files.selection import Selection
from drawwell.generator import Address, Batch, ImageGenerator, Images, Latents, allocate
from drawwell.image_request import Feeds, GenerateArguments, ImageRequest, of_interpolation
from drawwell.pieces import pieces, slices
from drawwell.text import printable


class Engine(ImageGenerator):
    """A generator file on this machine, drawn by ONNX Runtime. ``drawwell.open`` makes one from a name or a path.

    An image depends on ``(digest, seed, index)`` alone, never on the images that are drawn together with it. Any number of
    threads may call. A pickled engine travels as its path; where it is unpickled, and in a forked process, it loads the file
    again and draws with one thread.

    Example:
        >>> with drawwell.open("fashion", provider="cpu", threads=2) as engine:
        ...     batch = engine.generate(seed=7, count=100)
        >>> isinstance(engine, drawwell.Engine), engine.provider, engine.threads
        (True, 'cpu', 2)
    """

    def __init__(
        self, path: str | Path, provider: Provider = "auto", threads: int | None = None, *, cuda_graph: bool = False
    ) -> None:
        """Load and check a generator file, and draw its known answers.

        Args:
            path: The generator file.
            provider: ``cuda`` or ``cpu``; ``auto`` draws on CUDA if a device can be used, else on the CPU.
            threads: The most that draw at once on the CPU; by default one for each core. CUDA has its own number.
            cuda_graph: Record the kernels of a run on CUDA once and replay them, which saves their launches.

        Raises:
            GeneratorFileError: The file is no whole, valid generator.
            ProviderError: The provider cannot be used, or draws other pixels than the known answers of the card.
            RequestError: An argument is wrong.
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
        """The model card: image size, classes, training data and measured quality."""
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
        """The most threads that draw at once."""
        return self._threads

    @property
    def piece_images(self) -> int:
        """The most images in one run. Longer calls are drawn in pieces, so that short calls are drawn between them."""
        return self._piece_images

    @property
    def fingerprint(self) -> str:
        """The versions, the provider and the kind of processor: with equal fingerprints an address has equal bytes."""
        return fingerprint(self._provider, self._piece_images if self._provider == "cuda" else None)

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

        Raises:
            RequestError: An argument is wrong, arguments exclude each other, the batch does not fit into memory, or the engine is
                closed.
            SelectionError: The selection is of another generator, or its file is no whole selection.
            ProviderError: Drawing failed; ``DeviceMemoryError`` if the memory of the device is full now.
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

    def feeds(self, seed: int, indices: CheckedIndices, labels: CheckedLabels | None = None) -> Feeds:
        """Return the inputs of the generator at these addresses.

        They are ``z`` float32 ``[N, D]``, ``label`` int64 ``[N]`` if it has classes, ``member`` int64 ``[N]`` if it is a mixture.
        """
        return ImageRequest(seed, indices, labels).feeds(self._card)

    def draw(self, feeds: Feeds) -> Images:
        """Draw up to ``piece_images`` rows of ``feeds`` in one run, on the calling thread: uint8 ``[N, H, W, C]``.

        Raises ``ProviderError`` if drawing fails, ``RequestError`` if the engine is closed.
        """
        with self._answering() as alone:
            return self._run(feeds, alone and self._is_handful(len(feeds["z"])))

    def check(self) -> None:
        """Draw the known answers of the card. Raises ``ProviderError`` if a pixel is wrong, ``RequestError`` if the engine is closed."""
        with self._answering():
            self._check()

    def close(self) -> None:
        """Wait for the calls under way, end the threads, and free the sessions. The engine draws no more."""
        with self._counting:
            self._closed = True
            self._counting.wait_for(lambda: self._calls == 0)
        self._pool.shutdown()
        self._backend = None

    def _check(self) -> None:
        known = self._card.known_answers
        several = pieces(check_indices(known.indices), self._piece_images)
        together = np.concatenate([self._run(self.feeds(known.seed, piece), False) for piece in several])
        single = [range(index, index + 1) for index in known.indices]
        singly = np.concatenate([self._run(self.feeds(known.seed, piece), True) for piece in single])
        if not np.array_equal(together, singly):
            raise ProviderError(
                f"{printable(self._path)}: drawn on {self._provider}, an image depends on the images that are drawn together "
                "with it, so no address would keep its pixels: try threads=1 or another provider"
            )
        distances = known.distances(together)
        off = np.count_nonzero(distances > known.tolerance_levels)
        if off > known.may_differ:
            raise ProviderError(
                f"{printable(self._path)}: drawn on {self._provider}, {off} of its {len(distances)} known answers are off by more "
                f"than {known.tolerance_levels} of 255 levels (by up to {distances.max()}; {known.may_differ or 'none'} may be): "
                f"{_HINTS.get(self._card.target, _MEMORY_HINT)}"
            )

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
            raise GeneratorFileError(f"{printable(self._path)}: has changed since it was opened: open it again")
        try:
            self._load(file, threads=1)
        except BaseException:
            self._backend = None  # the next call shall not draw with what is wrong
            raise

    def _answer(self, request: ImageRequest) -> Batch:
        images = allocate(len(request), self._card)

        def feeds(places: slice) -> Feeds:
            return request.part(places).feeds(self._card)

        with self._answering() as alone:
            if alone and self._is_handful(len(request)):
                images[:] = self._run(feeds(slice(0, len(request))), True)
            else:
                self._draw_pieces(images, feeds)
        return request.batch(images, self._card, self._digest)

    def _draw_pieces(self, images: Images, feeds: Callable[[slice], Feeds]) -> None:
        """Draw in pieces. The calling thread draws too: if it waited, it would wake late."""
        assert self._backend is not None, "it is not closed while a call is answered"
        todo = deque(slices(len(images), self._backend.piece_of(len(images))))

        def work() -> None:
            while True:
                try:
                    piece = todo.popleft()
                except IndexError:
                    return
                try:
                    images[piece] = self._run(feeds(piece), False)
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

    def _is_handful(self, rows: int) -> bool:
        """Too few to be worth a second thread: every core works on each of them, as long as nothing else is drawn."""
        return rows < max(2, self._threads)

    @contextmanager
    def _answering(self) -> Iterator[bool]:
        """Count a call, and yield whether it is the only one. Raises ``RequestError`` if the engine is closed."""
        with self._counting:
            if self._closed:
                raise RequestError("this generator is closed: open it again")
            if self._backend is None:
                self._load_again()
            self._calls += 1
            alone = self._calls == 1
        try:
            yield alone
        finally:
            with self._counting:
                self._calls -= 1
                self._counting.notify_all()


_MEMORY_HINT = (
    "try another provider, or export the run with --target portable; "
    "the weights in the file, this build of onnxruntime or this processor is at fault"
)
_HINTS = {
    "cpu-int8": "this processor has no VNNI, so that sums of 8-bit products overflow, or the weights in the file are wrong; "
    "draw from the file exported with --target cpu (the bundled name without -int8)"
}


def _reopen(path: Path, provider: Provider, digest: str) -> Engine:
    engine = Engine(path, provider, threads=1)
    if engine.digest != digest:
        raise GeneratorFileError(f"{printable(path)}: has changed since it was opened: open it again")
    return engine
