"""The CPU and the CUDA device: each takes rows of latents and returns rows of pixels."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from drawwell.engine.cores import cores
from drawwell.engine.onnx_session import Provider, open_cpu, open_cuda
from drawwell.errors import DeviceMemoryError, ProviderError, RequestError
from drawwell.files.card import ModelCard
from drawwell.files.generator_file import GeneratorFile
from drawwell.generator import Images
from drawwell.image_request import Feeds, feeds_of
from drawwell.pieces import pieces
from drawwell.text import printable

if TYPE_CHECKING:
    import onnxruntime

CPU_PIECE_IMAGES = 16
"""One thread is as fast with 16 as with 64 at once (`make bench-engine`), and short requests wait for less."""
CUDA_BATCH_IMAGES = 256
"""Not measured yet: `make bench-gpu` compares batches of 1 to 4,096. A lone image costs as much as this many."""

_MOST_SHARING = 8
"""Members of a mixture after which a piece grows no more: longer pieces would keep other calls waiting."""

_OUT_OF_MEMORY = ("out of memory", "failed to allocate memory", "alloc_failed")


class Backend(Protocol):
    """Draws pieces of at most ``piece_images`` rows on up to ``threads`` threads at once."""

    provider: str
    threads: int
    piece_images: int

    def piece_of(self, images: int) -> int:
        """Return how many images a call for ``images`` should draw in one run."""
        ...

    def run(self, feeds: Feeds, whole: bool) -> Images:
        """Draw one piece, with the ``whole`` machine or beside other runs. Raises ``ProviderError`` if drawing fails."""
        ...


def open_backend(file: GeneratorFile, provider: Provider, threads: int | None, cuda_graph: bool) -> Backend:
    """Open the CUDA device if it can be used and ``provider`` allows it, else the CPU. Raises as ``open_cuda`` does."""
    if threads is not None and threads < 1:
        raise RequestError(f"threads must be at least 1, not {threads}")
    if cuda_graph and file.card.members:
        raise RequestError("cuda_graph cannot record a mixture: the addresses decide which of its generators run")
    session = open_cuda(file, provider, {"enable_cuda_graph": "1"} if cuda_graph else {})
    if session is None and cuda_graph:
        raise RequestError("cuda_graph works on CUDA only, and this generator draws on the CPU")
    return CpuBackend(file, threads or cores()) if session is None else CudaBackend(session, file.card)


class CpuBackend:
    """The CPU. Pieces run side by side, each on one core, through one session: no core waits for another, and all share the
    weights in the cache. A second session uses every core, for a few images when nothing else is drawn.
    """

    provider = "cpu"
    piece_images = CPU_PIECE_IMAGES

    def __init__(self, file: GeneratorFile, threads: int) -> None:
        self.threads = threads
        # a batch of 16 for each member: with 16 for all of four, an image took a quarter more of a core's time
        self.piece_images = CPU_PIECE_IMAGES * min(file.card.generators, _MOST_SHARING)
        self._one_core = open_cpu(file, 1)
        self._all_cores = open_cpu(file, threads) if threads > 1 else self._one_core

    def piece_of(self, images: int) -> int:
        """Return the size of equal pieces for all threads, in as few rounds as the largest piece allows."""
        rounds = math.ceil(math.ceil(images / self.piece_images) / self.threads)
        return math.ceil(images / (rounds * self.threads))

    def run(self, feeds: Feeds, whole: bool) -> Images:
        session = self._all_cores if whole else self._one_core
        try:
            images: Images = session.run(["images"], feeds)[0]
        except Exception as error:  # onnxruntime's exceptions have no common base but this one
            raise _failure(self.provider, error) from error
        return images


class CudaBackend:
    """A CUDA device. Every run has the same shape, padded, in buffers that stay on the device: cuDNN chooses its algorithms by
    shape, and another algorithm adds in another order. The shape is halved at the start until a run fits into the device's
    memory. One thread makes all runs: ONNX Runtime keeps handles, and a recorded graph, for each thread that calls it.

    A run draws one member of a mixture. If members shared a run, each would get as many rows as chance gave it, and that
    number is a shape too. A piece takes fewer than twice as many runs as there are members.
    """

    provider = "cuda"
    threads = 2
    """One makes latents and copies pixels while the device draws for the other."""

    def __init__(
        self,
        session: "onnxruntime.InferenceSession",
        card: ModelCard,
        batch: int = CUDA_BATCH_IMAGES,
        device: str = "cuda",
    ) -> None:
        self._session, self._card, self._device = session, card, device
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cuda")
        self.piece_images = self._thread.submit(self._settle, batch).result()

    def piece_of(self, images: int) -> int:  # noqa: ARG002 - a smaller piece would be padded again
        return self.piece_images

    def run(self, feeds: Feeds, whole: bool) -> Images:  # noqa: ARG002 - one shape serves both
        return self._thread.submit(self._run, feeds).result()

    def _run(self, feeds: Feeds) -> Images:
        if "member" not in feeds:
            return self._run_shape(feeds)
        images: Images = np.empty((len(feeds["z"]), *self._card.image_shape), np.uint8)
        for places in _by_member(feeds["member"], len(self._staging["z"])):
            images[places] = self._run_shape({name: values[places] for name, values in feeds.items()})
        return images

    def _run_shape(self, feeds: Feeds) -> Images:
        rows = len(feeds["z"])
        for name, values in feeds.items():
            self._staging[name][:rows] = values
            self._staging[name][rows:] = values[0] if name == "member" else 0
        try:
            for name, values in self._staging.items():
                self._inputs[name].update_inplace(values)
            self._session.run_with_iobinding(self._binding)
            images: Images = self._output.numpy()[:rows].copy()  # the next run writes there
        except Exception as error:  # as above
            raise _failure(self.provider, error) from error
        return images

    def _settle(self, batch: int) -> int:
        while True:
            try:
                self._bind(max(1, batch // self._card.generators))
                self._try_every_member()
                return batch
            except Exception as error:  # as above
                failure = _failure(self.provider, error)
                if batch == 1 or not isinstance(failure, DeviceMemoryError):
                    raise failure from error
                batch //= 2

    def _try_every_member(self) -> None:
        for member in range(self._card.generators):
            if self._card.members:
                self._inputs["member"].update_inplace(np.full_like(self._staging["member"], member))
            self._session.run_with_iobinding(self._binding)

    def _bind(self, rows: int) -> None:
        from onnxruntime import OrtValue

        label = np.zeros(rows, np.int64) if self._card.class_names else None
        member = np.zeros(rows, np.int64) if self._card.members else None
        self._staging = feeds_of(np.zeros((rows, self._card.latent_dim), np.float32), label, member)
        self._inputs = {
            name: OrtValue.ortvalue_from_numpy(values, self._device, 0) for name, values in self._staging.items()
        }
        shape = [rows, *self._card.image_shape]
        self._output = OrtValue.ortvalue_from_shape_and_type(shape, np.uint8, self._device, 0)
        self._binding = self._session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.bind_ortvalue_output("images", self._output)


def _by_member(member: npt.NDArray[np.int64], most: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the places of the rows of each member, at most ``most`` at once."""
    for one in np.unique(member):
        places = np.flatnonzero(member == one)
        yield from pieces(places, most)


def _failure(provider: str, error: Exception) -> ProviderError:
    reason = printable((str(error) or type(error).__name__).splitlines()[0])  # it may quote the file
    if any(words in str(error).lower() for words in _OUT_OF_MEMORY):
        return DeviceMemoryError(f"the memory of {provider} is full: try the same call again later ({reason})")
    return ProviderError(f"drawing failed on {provider} ({reason})")
