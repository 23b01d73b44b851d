"""ONNX Runtime sessions of a generator file, on the CPU or on CUDA, and of a discriminator file on the CPU."""

import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from drawwell.errors import GeneratorFileError, ProviderError, RequestError
from drawwell.files.card import ModelCard
from drawwell.files.discriminator_card import DiscriminatorCard
from drawwell.files.discriminator_file import DiscriminatorFile
from drawwell.files.generator_file import GeneratorFile
from drawwell.install import exchange_command, needed_for
from drawwell.text import printable

if TYPE_CHECKING:
    import onnxruntime

Provider = Literal["auto", "cuda", "cpu"]
"""Where to draw: ``auto`` is CUDA if a device can be used, else the CPU."""

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_CUDA_OPTIONS = {
    "use_tf32": "0",  # TF32 keeps 10 bits: pixels would be levels away from the CPU's
    "cudnn_conv_algo_search": "HEURISTIC",  # the default chooses by timing, which may end otherwise after a restart
}
_SPIN_MICROSECONDS = 1000
"""As fast as the default in a steady stream of lone images, and over before anything else is drawn."""


def open_cuda(
    file: GeneratorFile, provider: Provider, more_options: Mapping[str, str]
) -> "onnxruntime.InferenceSession | None":
    """Open a CUDA session from the bytes that were checked, or return None if the CPU draws.

    ``more_options`` of the CUDA provider are added to the options that the pixels depend on.
    Raises ``ProviderError`` if ``cuda`` cannot be used; ``auto`` then warns, if a build with CUDA is installed.
    Raises ``RequestError`` for an unknown provider, ``GeneratorFileError`` for a graph that cannot be loaded or does not fit
    the card.
    """
    if provider not in get_args(Provider):
        raise RequestError(f"provider must be one of {', '.join(get_args(Provider))}, not {provider!r}")
    onnxruntime = _onnxruntime()
    can_cuda = _CUDA in onnxruntime.get_available_providers()
    if provider == "cuda" and not can_cuda:
        raise ProviderError(
            "the installed onnxruntime has no CUDA; install the build with CUDA in its place: "
            f"{exchange_command('onnxruntime', 'gpu')}"
        )
    if provider == "cpu" or not can_cuda:
        return None
    onnxruntime.preload_dlls()  # finds the CUDA and cuDNN that pip installed
    options = session_options(1)
    options.use_deterministic_compute = True
    session = _load(file, options, [(_CUDA, {**more_options, **_CUDA_OPTIONS}), _CPU])
    if session.get_providers()[0] == _CUDA:
        return session
    _complain(provider)
    return None


def open_cpu(file: GeneratorFile, threads: int) -> "onnxruntime.InferenceSession":
    """Open a session on the CPU that uses ``threads`` for one run. Raises ``GeneratorFileError`` as ``open_cuda`` does."""
    return _load(file, session_options(threads), [_CPU])


def open_discriminator(file: DiscriminatorFile, threads: int) -> "onnxruntime.InferenceSession":
    """Open a session on the CPU that uses ``threads`` for one run. Raises ``GeneratorFileError`` as ``open_cuda`` does."""
    return _load(file, session_options(threads), [_CPU])


def session_options(threads: int) -> "onnxruntime.SessionOptions":
    """Return the options of every session on the CPU or a device."""
    options = _onnxruntime().SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions, and the provider is looked at
    options.intra_op_num_threads = threads
    # waiting threads burn the core that the next piece needs; a caller that comes back at once still finds them awake
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_MICROSECONDS))
    return options


def _onnxruntime() -> Any:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # its builds tell Microsoft of their use, unless asked not to
    with needed_for("drawing", "cpu"):
        import onnxruntime
    return onnxruntime


def _complain(provider: Provider) -> None:
    reason = (
        "the installed onnxruntime has CUDA, but cannot use it here: "
        "there is no device, or its libraries (CUDA 13, cuDNN 9) are missing"
    )
    if provider == "cuda":
        raise ProviderError(reason)
    warnings.warn(f"drawing on the CPU: {reason}", RuntimeWarning, stacklevel=6)


def _load(
    file: GeneratorFile | DiscriminatorFile, options: "onnxruntime.SessionOptions", providers: list[Any]
) -> "onnxruntime.InferenceSession":
    try:
        session = _onnxruntime().InferenceSession(file.content, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no common base but this one
        raise GeneratorFileError(
            f"ONNX Runtime cannot load {printable(file.card.name)!r} ({printable(error, 300)})"
        ) from error
    _check_interface(session, file.card)
    return session


_Tensors = dict[str, tuple[str, bool, list[Any]]]
"""By name: the type, whether the batch is free, and the other dimensions."""


def _check_interface(session: "onnxruntime.InferenceSession", card: ModelCard | DiscriminatorCard) -> None:
    def described(items: Any) -> _Tensors:
        return {
            item.name: (item.type, all(isinstance(n, str) for n in item.shape[:1]), item.shape[1:]) for item in items
        }

    expected = _of_generator(card) if isinstance(card, ModelCard) else _of_discriminator(card)
    found = described(session.get_inputs()), described(session.get_outputs())
    if found != expected:
        raise GeneratorFileError(
            f"{printable(card.name)!r}: its inputs {printable(found[0])} and outputs {printable(found[1])} "
            "do not fit its card"
        )


def _of_generator(card: ModelCard) -> tuple[_Tensors, _Tensors]:
    """The inputs and the outputs that the card promises."""
    inputs: _Tensors = {"z": ("tensor(float)", True, [card.latent_dim])}
    if card.class_names:
        inputs["label"] = ("tensor(int64)", True, [])
    if card.members:
        inputs["member"] = ("tensor(int64)", True, [])
    return inputs, {"images": ("tensor(uint8)", True, list(card.image_shape))}


def _of_discriminator(card: DiscriminatorCard) -> tuple[_Tensors, _Tensors]:
    """The inputs and the outputs that the card promises."""
    inputs: _Tensors = {"images": ("tensor(uint8)", True, list(card.image_shape))}
    outputs: _Tensors = {"logit": ("tensor(float)", True, [])}
    if card.class_names:
        inputs["label"] = ("tensor(int64)", True, [])
        outputs["class_scores"] = ("tensor(float)", True, [len(card.class_names)])
    return inputs, outputs
