"""A generator file on ONNX Runtime: addresses in, uint8 images out."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from drawwell.batch import Batch, address, labels_of
from drawwell.card import ModelCard
from drawwell.errors import DrawwellError, GeneratorFileError, ProviderError
from drawwell.fingerprint import fingerprint
from drawwell.generator_file import GeneratorFile, read_generator
from drawwell.latents import Indices, latents

if TYPE_CHECKING:
    import onnxruntime

Provider = Literal["auto", "cuda", "cpu"]
"""Where to run: ``auto`` is CUDA where it can be had, else the CPU."""

PIECE_IMAGES = 64
"""Images in one run of the session: throughput gains nothing beyond, and a piece takes some milliseconds."""

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


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
        self._session = _session(file, provider, threads)
        self._provider = "cuda" if self._session.get_providers()[0] == _CUDA else "cpu"
        _check_interface(self._session, file.card, self._path)
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
    def fingerprint(self) -> str:
        """The render fingerprint: what the bytes may depend on besides the digest and the address."""
        return fingerprint(self._provider)

    def generate(self, seed: int, count: int | None = None, start: int = 0, *, indices: Indices | None = None) -> Batch:
        """Draw the images of indices ``start`` to ``start + count - 1`` of ``seed``, or those of ``indices``, in their order.

        Raises ``RequestError`` for a seed or an index outside [0, 2**63), or a count below 1.
        """
        seed, chosen = address(seed, count, start, indices)
        images = np.empty((len(chosen), *self._card.image_shape), np.uint8)
        for first in range(0, len(chosen), PIECE_IMAGES):
            images[first : first + PIECE_IMAGES] = self.draw(seed, chosen[first : first + PIECE_IMAGES])
        return Batch(images, labels_of(self._card, seed, chosen), seed, chosen, self._digest)

    def draw(self, seed: int, piece: Indices) -> npt.NDArray[np.uint8]:
        """Draw one piece of at most ``PIECE_IMAGES`` indices: uint8 ``[n, H, W, C]``."""
        return self.run(
            latents(seed, piece, self._card.latent_dim, self._card.prior), labels_of(self._card, seed, piece)
        )

    def run(self, z: npt.NDArray[np.float32], labels: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.uint8]:
        """Run the session on latents float32 ``[n, D]`` (and labels int64 ``[n]``) of any batch size: uint8 ``[n, H, W, C]``."""
        feeds: dict[str, npt.NDArray[Any]] = {"z": z} if labels is None else {"z": z, "label": labels}
        if (
            self._provider == "cuda" and len(z) < PIECE_IMAGES
        ):  # cuDNN picks its algorithms by shape, so there is one shape only
            feeds = {
                name: np.concatenate([rows, np.zeros_like(rows, shape=(PIECE_IMAGES - len(z), *rows.shape[1:]))])
                for name, rows in feeds.items()
            }
        images: npt.NDArray[np.uint8] = self._session.run(["images"], feeds)[0][: len(z)]
        return images

    def close(self) -> None:
        """Free the session. The engine draws no more."""
        del self._session

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._path, self._asked, self._digest)

    def _check_known_answers(self) -> None:
        known = self._card.known_answers
        distance = known.distance(self.generate(known.seed, indices=known.indices).images)
        if distance > known.tolerance_levels:
            raise ProviderError(
                f"{self._path}: drawn on {self._provider}, its known answers are off by {distance} levels, "
                f"{known.tolerance_levels} are allowed: the file's weights, this build of onnxruntime or this processor "
                "is at fault; another provider may do"
            )


def _reopen(path: Path, provider: Provider, digest: str) -> Engine:
    engine = Engine(path, provider, threads=1)
    if engine.digest != digest:
        raise GeneratorFileError(f"{path}: has changed since it was opened")
    return engine


def _session(file: GeneratorFile, provider: Provider, threads: int | None) -> "onnxruntime.InferenceSession":
    try:
        import onnxruntime
    except ImportError as error:
        raise DrawwellError(
            "drawing needs ONNX Runtime: pip install 'drawwell[cpu]', or 'drawwell[gpu]' for CUDA"
        ) from error
    can_cuda = _CUDA in onnxruntime.get_available_providers()
    if provider == "cuda" and not can_cuda:
        raise ProviderError(
            "cuda was asked for, but the installed onnxruntime has no CUDA: pip install 'drawwell[gpu]' in place of 'drawwell[cpu]'"
        )
    wanted: list[Any] = [_CPU]
    if provider != "cpu" and can_cuda:
        onnxruntime.preload_dlls()  # finds the CUDA and cuDNN that pip installed
        wanted = [(_CUDA, {"use_tf32": "0"}), _CPU]  # TF32 keeps 10 bits: pixels would be levels away from the CPU's
    session = _load(file, wanted, threads)
    if wanted[0] != _CPU and session.get_providers()[0] != _CUDA:
        reason = (
            "a build of onnxruntime with CUDA is installed, but CUDA cannot be used here: "
            "there is no device, or its libraries (CUDA 13, cuDNN 9) are missing"
        )
        if provider == "cuda":
            raise ProviderError(f"cuda was asked for, and {reason}")
        warnings.warn(f"drawing on the CPU: {reason}", RuntimeWarning, stacklevel=4)
    return session


def _load(file: GeneratorFile, providers: list[Any], threads: int | None) -> "onnxruntime.InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions, and the provider is looked at
    options.intra_op_num_threads = threads or 0
    try:
        return onnxruntime.InferenceSession(file.content, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no common base but this one
        raise GeneratorFileError(
            f"ONNX Runtime cannot load {file.card.name!r} ({str(error).splitlines()[0]})"
        ) from error


def _check_interface(session: "onnxruntime.InferenceSession", card: ModelCard, path: Path) -> None:
    inputs = {item.name: (item.type, item.shape[1:]) for item in session.get_inputs()}
    outputs = {item.name: (item.type, item.shape[1:]) for item in session.get_outputs()}
    wanted: dict[str, Any] = {"z": ("tensor(float)", [card.latent_dim])}
    if card.class_names:
        wanted["label"] = ("tensor(int64)", [])
    if inputs != wanted or outputs != {"images": ("tensor(uint8)", list(card.image_shape))}:
        raise GeneratorFileError(
            f"{path}: its inputs {inputs} and outputs {outputs} are not those that its card describes"
        )
