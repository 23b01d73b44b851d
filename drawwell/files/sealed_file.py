"""Sealed files: how the card and the seal are written, and the checks before anything of a file is run.

A generator or a discriminator is one self-contained ``.onnx`` file of standard operators. Its last two metadata entries are the
card, as JSON, and the seal: the SHA-256 of the whole file with the seal's own 64 hex digits set to zero. Protobuf writes
metadata last. So the seal is the last 64 bytes of the file, and is checked before any parser sees the other bytes. The seal
detects damage. It does not say who made the file: the operator decides whom to trust.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from drawwell.errors import GeneratorFileError
from drawwell.files.card_json import Card, Kind
from drawwell.install import needed_for
from drawwell.text import printable, reason

if TYPE_CHECKING:
    import onnx

FILE_LIMIT_BYTES = 2**30
"""A DCGAN of 128 px with twice the usual width takes 0.2 GiB; protobuf itself allows 2 GiB."""

_CARD_KEY, _SEAL_KEY = "drawwell", "drawwell.seal"
_BLANK_SEAL = b"0" * 64
_SEAL_MARK = _SEAL_KEY.encode() + b"\x12\x40"  # protobuf: field 2 (the value), 64 bytes long
_STANDARD_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class SealedFile(Generic[Card]):
    """A checked file: its bytes, their SHA-256 in hex (the digest) and its card."""

    content: bytes = field(repr=False)
    digest: str
    card: Card


def read_sealed(path: Path, kind: Kind, card_from_json: Callable[[str], Card]) -> SealedFile[Card]:
    """Read ``path`` and check its size, seal, operators and card, in this order. Nothing of the file is run.

    Raises ``GeneratorFileError`` with a sentence that names the file and the fault.
    """
    content = _read(path, kind)
    try:
        _check_seal(content, kind)
        model = parse(content, kind)
        _check_graph(model, kind)
        card = card_from_json(next((entry.value for entry in model.metadata_props if entry.key == _CARD_KEY), ""))
    except GeneratorFileError as error:
        raise GeneratorFileError(f"{printable(path)}: {printable(error)}") from error.__cause__
    return SealedFile(content, hashlib.sha256(content).hexdigest(), card)


def seal_with(model: "onnx.ModelProto", card_json: bytes) -> bytes:
    """Return the bytes of a sealed file: ``model``, changed in place, with the card and the seal as its only metadata.

    Raises ``GeneratorFileError`` where ``model`` has fields that protobuf writes after the metadata.
    """
    del model.metadata_props[:]
    model.metadata_props.add(key=_CARD_KEY, value=card_json.decode())
    model.metadata_props.add(key=_SEAL_KEY, value=_BLANK_SEAL.decode())
    blank: bytes = model.SerializeToString(deterministic=True)
    if not blank.endswith(_SEAL_MARK + _BLANK_SEAL):
        raise GeneratorFileError(
            "the seal is not the last entry of the file: remove functions and training information from the model"
        )
    return blank[:-64] + hashlib.sha256(blank).hexdigest().encode()


def _read(path: Path, kind: Kind) -> bytes:
    name = printable(path)
    try:
        if not path.is_file():
            raise GeneratorFileError(
                f"{name}: no such file" if not path.exists() else f"{name}: is not a file; name a {kind} file"
            )
        size = path.stat().st_size
        if size > FILE_LIMIT_BYTES:
            raise GeneratorFileError(
                f"{name}: has {size / 2**30:,.1f} GiB; a {kind} file has at most {FILE_LIMIT_BYTES / 2**30:.0f} GiB"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise GeneratorFileError(f"{name}: cannot be read ({reason(error)})") from error


def _check_seal(content: bytes, kind: Kind) -> None:
    if content[-64 - len(_SEAL_MARK) : -64] != _SEAL_MARK:
        raise GeneratorFileError(
            f"is no drawwell {kind}, or is cut short: it does not end with a seal; copy or export it again"
        )
    total = hashlib.sha256(memoryview(content)[:-64])
    total.update(_BLANK_SEAL)
    if total.hexdigest().encode() != content[-64:]:
        raise GeneratorFileError(
            "is damaged: its SHA-256 is not the sealed one; copy the file again, or export the run again"
        )


def parse(content: bytes, kind: Kind) -> "onnx.ModelProto":
    """Return the model in ``content``. Raises ``GeneratorFileError`` if there is none."""
    with needed_for(f"reading a {kind} file", "cpu"):
        import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load_model_from_string(content)
    except DecodeError as error:
        raise GeneratorFileError("is no ONNX model: export the run again") from error


def _check_graph(model: "onnx.ModelProto", kind: Kind) -> None:
    for message in messages(model):
        message_kind = message.DESCRIPTOR.name
        if message_kind == "TensorProto" and (message.data_location or message.external_data):
            raise GeneratorFileError(
                f"its tensor {message.name!r} lies in another file, it must be self-contained: export the run again"
            )
        if (
            message_kind in ("NodeProto", "FunctionProto", "OperatorSetIdProto")
            and message.domain not in _STANDARD_DOMAINS
        ):
            raise GeneratorFileError(
                f"uses operators of the domain {message.domain!r}, and a {kind} may use standard operators only: export the run again"
            )


def messages(message: Any) -> Iterator[Any]:
    """Yield ``message`` and every protobuf message inside it, those of sub-graphs included."""
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for part in value if hasattr(value, "__len__") else [value]:
                yield from messages(part)
