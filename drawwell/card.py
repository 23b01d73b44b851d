"""What a generator file says of itself, and how that is written and read.

A generator is one self-contained ``.onnx`` file of standard operators. Its last two metadata entries are the
card, as JSON, and the seal: the SHA-256 of the whole file with the seal's own 64 hex digits zeroed. Since
protobuf writes metadata last, the seal is the file's last 64 bytes, and can be checked before any parser sees
the others. The seal guards against damage; whom to trust is the operator's business.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from drawwell.errors import DrawwellError, GeneratorFileError
from drawwell.latents import Prior

if TYPE_CHECKING:
    import onnx

FORMAT_VERSION = 1
FILE_LIMIT_BYTES = 2**30
"""A DCGAN of 128 px and twice the usual width has 0.2 GiB; protobuf itself ends at 2 GiB."""

_CARD_KEY, _SEAL_KEY = "drawwell", "drawwell.seal"
_BLANK_SEAL = b"0" * 64
_SEAL_MARK = _SEAL_KEY.encode() + b"\x12\x40"  # protobuf: field 2 (the value), 64 bytes long
_STANDARD_DOMAINS = ("", "ai.onnx")

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Training:
    """What the generator learned from: ``images`` counts those shown to the discriminator, repeats included."""

    dataset: str
    license: str
    images: Count
    steps: Count
    config_sha256: Sha256


@dataclass(frozen=True)
class Parity:
    """How far the file's pixels are from torch's, in levels of 255, over ``addresses`` drawn at each of ``batch_sizes``."""

    addresses: Count
    batch_sizes: tuple[Positive, ...]
    max_levels: Count
    differing_share: Annotated[float, msgspec.Meta(ge=0, le=1)]


@dataclass(frozen=True)
class KnownAnswers:
    """Pixels that the file must draw: of each index's image, flattened, every ``pixel_step``-th value, uint8, zlib, base64."""

    seed: Count
    indices: tuple[Count, ...]
    pixel_step: Positive
    tolerance_levels: Count
    pixels: str

    @classmethod
    def of(cls, seed: int, indices: tuple[int, ...], images: npt.NDArray[np.uint8], tolerance_levels: int) -> "KnownAnswers":
        """Sample images uint8 ``[n, H, W, C]``, some 1,000 values of each, over all rows, columns and channels."""
        pixel_step = max(1, images[0].size // 1024) | 1
        pixel_step += 2 if images.shape[-1] % 3 == 0 and pixel_step % 3 == 0 else 0  # else it would see one channel only
        sampled = images.reshape(len(images), -1)[:, ::pixel_step]
        packed = base64.b64encode(zlib.compress(sampled.tobytes(), 9)).decode()
        return cls(seed, indices, pixel_step, tolerance_levels, packed)

    def distance(self, images: npt.NDArray[np.uint8]) -> int:
        """The largest difference, in levels, of images uint8 ``[n, H, W, C]`` drawn at these indices."""
        sampled = images.reshape(len(images), -1)[:, :: self.pixel_step].astype(np.int16)
        try:
            known = np.frombuffer(zlib.decompress(base64.b64decode(self.pixels)), np.uint8).reshape(sampled.shape)
        except (ValueError, zlib.error) as error:
            raise GeneratorFileError(f"its known answers cannot be read ({error})") from error
        return int(np.abs(sampled - known).max())


@dataclass(frozen=True)
class ModelCard:
    """The model card in a generator file. Images are uint8 ``[height, width, channels]``, ``z`` is float32 ``[latent_dim]``."""

    name: str
    prior: Prior
    latent_dim: Positive
    height: Positive
    width: Positive
    channels: Annotated[int, msgspec.Meta(ge=1, le=3)]
    training: Training
    parity: Parity
    known_answers: KnownAnswers
    class_names: tuple[str, ...] = ()
    """Empty for a generator that takes no label."""
    quality: dict[str, float] = field(default_factory=dict)
    """Measures of the images; empty where none were taken."""
    format_version: int = FORMAT_VERSION

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


@dataclass(frozen=True)
class GeneratorFile:
    """A whole, valid generator file: its bytes, their SHA-256 (the model digest) and the card."""

    content: bytes = field(repr=False)
    digest: str
    card: ModelCard


def read_generator(path: Path) -> GeneratorFile:
    """Read and check a file, in this order: size, seal, operators, card; nothing of it is run.

    Raises ``GeneratorFileError`` with a sentence that says what is wrong.
    """
    content = _read(path)
    try:
        _check_seal(content)
        model = _parse(content)
        _check_graph(model)
        card = card_from_json(next((entry.value for entry in model.metadata_props if entry.key == _CARD_KEY), ""))
    except GeneratorFileError as error:
        raise GeneratorFileError(f"{path}: {error}") from error.__cause__
    return GeneratorFile(content, hashlib.sha256(content).hexdigest(), card)


def seal(model: "onnx.ModelProto", card: ModelCard) -> bytes:
    """Return the bytes of a generator file: ``model`` with the card and the seal as its only metadata."""
    del model.metadata_props[:]
    model.metadata_props.add(key=_CARD_KEY, value=msgspec.json.encode(card).decode())
    model.metadata_props.add(key=_SEAL_KEY, value=_BLANK_SEAL.decode())
    blank: bytes = model.SerializeToString(deterministic=True)
    if not blank.endswith(_SEAL_MARK + _BLANK_SEAL):
        raise GeneratorFileError("the seal is not the file's last entry: does the model carry functions or training information?")
    return blank[:-64] + hashlib.sha256(blank).hexdigest().encode()


def card_from_json(text: str | bytes) -> ModelCard:
    """Read a card. Raises ``GeneratorFileError`` where it is none, or one of another format version."""
    try:
        raw = msgspec.json.decode(text)
        if isinstance(raw, dict) and raw.get("format_version") != FORMAT_VERSION:
            raise GeneratorFileError(
                f"is written in format {raw.get('format_version')}, this drawwell reads format {FORMAT_VERSION}: "
                "use the drawwell that wrote it, or export the run again"
            )
        return msgspec.convert(raw, ModelCard)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise GeneratorFileError(f"its card is not valid ({error})") from error


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise GeneratorFileError(f"{path}: no such file" if not path.exists() else f"{path}: is not a file")
        size = path.stat().st_size
        if size > FILE_LIMIT_BYTES:
            raise GeneratorFileError(f"{path}: has {size / 2**30:,.1f} GiB, more than the {FILE_LIMIT_BYTES / 2**30:.0f} GiB that a generator may have")
        return path.read_bytes()
    except OSError as error:
        raise GeneratorFileError(f"{path}: cannot be read ({error.strerror})") from error


def _check_seal(content: bytes) -> None:
    if content[-64 - len(_SEAL_MARK) : -64] != _SEAL_MARK:
        raise GeneratorFileError("is no drawwell generator, or is cut short: it does not end with a seal")
    total = hashlib.sha256(memoryview(content)[:-64])
    total.update(_BLANK_SEAL)
    if total.hexdigest().encode() != content[-64:]:
        raise GeneratorFileError("is damaged: its bytes are not those that were sealed")


def _parse(content: bytes) -> "onnx.ModelProto":
    try:
        import onnx
    except ImportError as error:
        raise DrawwellError("generator files are read with onnx: pip install 'drawwell[cpu]', or 'drawwell[gpu]'") from error
    from google.protobuf.message import DecodeError

    try:
        return onnx.load_model_from_string(content)
    except DecodeError as error:
        raise GeneratorFileError("is no ONNX model") from error


def _check_graph(model: "onnx.ModelProto") -> None:
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto" and (message.data_location or message.external_data):
            raise GeneratorFileError(f"its tensor {message.name!r} lies in another file; a generator is self-contained")
        if kind in ("NodeProto", "FunctionProto", "OperatorSetIdProto") and message.domain not in _STANDARD_DOMAINS:
            raise GeneratorFileError(f"uses operators of the domain {message.domain!r}; a generator has standard operators only")


def _messages(message: Any) -> Iterator[Any]:
    """Every protobuf message below and including this one: whatever can hold a tensor or a node is seen, sub-graphs too."""
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for part in value if hasattr(value, "__len__") else [value]:
                yield from _messages(part)
