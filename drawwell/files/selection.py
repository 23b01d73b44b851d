"""Selections: a data set as a list of addresses of one generator, in a file of a bit or two an image.

A selection file is one JSON object in UTF-8:

- ``format``: ``"drawwell selection"``, and ``version``: 2.
- ``generator``: the SHA-256 of the generator file.
- ``seed``, ``start``, ``candidates``, ``bitmap``: bit ``i`` (most significant first) of the bitmap says whether index
  ``start + i`` of the seed is chosen, for ``candidates`` indices. The bitmap is zlib in base64.
- ``labels``: null for the labels of the addresses, one integer for all images, or an int64 little-endian array, zlib in base64.
- ``spread``: the factor of the latents, in (0, 2].
- ``how``: how it was made, for people and for programs.
- ``sha256``: of the content, whatever compressed it: of ``format``, ``version``, ``generator``, ``seed``, ``indices``, ``labels``,
  ``spread`` and ``how`` in one object, as JSON with sorted keys and no spaces. There ``indices`` is the SHA-256 of int64
  little-endian numbers, and so is ``labels`` if each image has one.
"""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from drawwell import atomic_files
from drawwell.addresses import arguments
from drawwell.addresses.arguments import INDEX_LIMIT, CheckedIndices, check_address
from drawwell.addresses.scale import check_scale
from drawwell.errors import RequestError, SelectionError
from drawwell.files.labels import CheckedLabels
from drawwell.text import printable

FORMAT, VERSION = "drawwell selection", 2
MAX_CANDIDATES = 2**28
"""Indices between the first and the last chosen one, so that reading a selection needs at most 2 GiB."""
MAX_FILE_BYTES = 2**28
_LABEL_LIMIT = 2**63


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    version: int
    generator: str
    seed: int
    start: int
    candidates: int
    bitmap: str
    labels: int | str | None
    spread: float
    how: dict[str, Any]
    sha256: str


class _Head(msgspec.Struct):
    format: str
    version: int


@dataclass(frozen=True, eq=False)
class Selection:
    """Images of one generator by address. ``select`` makes one, ``read_selection`` reads one from a file.

    Attributes:
        generator: SHA-256 of the generator file, 64 hex digits.
        seed: The seed of all images.
        indices: The index of each image, int64 ``[N]``, ascending. A list or a range becomes one.
        labels: The class of each image by its index, int64 ``[N]``, or one for all; None for the classes of the addresses. A
            list becomes an array. A selection knows no names of classes.
        spread: The factor of the latents, in (0, 2].
        how: How it was made: rule, thresholds, data.
    """

    generator: str
    seed: int
    indices: npt.NDArray[np.int64]
    labels: CheckedLabels | None = None
    spread: float = 1.0
    how: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bring the numbers into one form. Raise ``SelectionError`` for values that no selection has."""
        for name, value in _checked(self).items():
            object.__setattr__(self, name, value)  # the fields are frozen

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def sha256(self) -> str:
        """The SHA-256 that names this selection, 64 hex digits. It is of the content, whichever zlib compressed a file of it."""
        labels = self.labels
        said = _said(self) | {
            "indices": arguments.sha256(self.indices),
            "labels": arguments.sha256(labels) if isinstance(labels, np.ndarray) else labels,
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        return json.dumps(_members(self), indent=1, sort_keys=True).encode() + b"\n"

    def write(self, path: Path) -> None:
        """Write the file. Raises ``WriteError``."""
        atomic_files.write(path, self.to_bytes())

    def check_generator(self, digest: str, name: str) -> None:
        """Raise ``SelectionError`` unless ``digest`` is that of the generator whose images were selected; ``name`` is for the message."""
        if digest != self.generator:
            raise SelectionError(
                f"the selection is of generator {self.generator[:12]}, and {printable(name)} is {digest[:12]}: "
                "open the generator that it was made with, or select again"
            )


def read_selection(path: str | Path) -> Selection:
    """Read a selection file.

    Raises:
        SelectionError: The file cannot be read, is no selection, is damaged, or is of a newer version.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SelectionError(f"{printable(path)}: cannot be read ({error.strerror})") from error
    try:
        return selection_from_bytes(content)
    except SelectionError as error:
        raise SelectionError(f"{printable(path)}: {error}") from None


def selection_from_bytes(content: bytes) -> Selection:
    """Return the selection that ``content`` holds. Raises ``SelectionError``."""
    if len(content) > MAX_FILE_BYTES:
        raise SelectionError(f"is larger than {MAX_FILE_BYTES:,} bytes, and no selection is")
    members = _decode(content)
    bits = np.unpackbits(np.frombuffer(_unpacked(members.bitmap, -(-members.candidates // 8)), np.uint8))
    if members.candidates < 1 or bits[members.candidates :].any():
        raise SelectionError("is damaged: its bitmap is longer than its candidates")
    indices = np.flatnonzero(bits).astype(np.int64) + members.start
    labels = _read_labels(members.labels, len(indices))
    selection = Selection(members.generator, members.seed, indices, labels, members.spread, members.how)
    if selection.sha256 != members.sha256:
        raise SelectionError("is damaged: its SHA-256 is wrong; copy it again")
    return selection


def _decode(content: bytes) -> _File:
    try:
        head = msgspec.json.decode(content, type=_Head)
        if head.format != FORMAT:
            raise SelectionError("is no selection")
        if head.version > VERSION:
            raise SelectionError(
                f"is of version {head.version}, and this drawwell reads up to {VERSION}: use a newer version of drawwell"
            )
        if head.version < VERSION:
            raise SelectionError(f"is of version {head.version}, written before 0.1.0: select again")
        members = msgspec.json.decode(content, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise SelectionError("is no selection, or is damaged") from None
    if not (0 <= members.start < INDEX_LIMIT and 0 <= members.candidates <= MAX_CANDIDATES):
        raise SelectionError(f"has indices outside [0, 2**63), or more than {MAX_CANDIDATES:,} candidates")
    if members.start + members.candidates > INDEX_LIMIT:
        raise SelectionError("has indices outside [0, 2**63)")
    return members


def _read_labels(labels: int | str | None, count: int) -> CheckedLabels | None:
    return np.frombuffer(_unpacked(labels, 8 * count), "<i8").astype(np.int64) if isinstance(labels, str) else labels


def _members(selection: Selection) -> dict[str, Any]:
    start, last = int(selection.indices[0]), int(selection.indices[-1])
    bits = np.zeros(last - start + 1, np.uint8)
    bits[selection.indices - start] = 1
    labels = selection.labels
    return _said(selection) | {
        "start": start,
        "candidates": len(bits),
        "bitmap": _packed(np.packbits(bits).tobytes()),
        "labels": _packed(labels.astype("<i8").tobytes()) if isinstance(labels, np.ndarray) else labels,
        "sha256": selection.sha256,
    }


def _said(selection: Selection) -> dict[str, Any]:
    """The members of a file that are written as they are."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "generator": selection.generator,
        "seed": selection.seed,
        "spread": selection.spread,
        "how": selection.how,
    }


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _unpacked(text: str, length: int) -> bytes:
    """Exactly ``length`` bytes. Raises ``SelectionError`` for fewer or more, before more are in memory."""
    try:
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(base64.b64decode(text, validate=True), length + 1)
    except (zlib.error, binascii.Error, ValueError):
        raise SelectionError("is damaged: what it compresses cannot be read") from None
    if len(content) != length:
        raise SelectionError("is damaged: what it compresses has another length")
    return content


def _checked(selection: Selection) -> dict[str, Any]:
    """The fields that may be given in several forms, in the one that they have."""
    if not isinstance(selection.generator, str) or len(selection.generator) != 64:
        raise SelectionError("names no generator by its SHA-256")
    try:
        seed, indices = check_address(selection.seed, None, 0, selection.indices)
        spread = check_scale(1.0, selection.spread).spread
    except RequestError as error:
        raise SelectionError(str(error)) from None
    labels = _check_labels(selection.labels, len(indices))
    return {"seed": seed, "indices": _check_order(indices), "labels": labels, "spread": spread}


def _check_order(indices: CheckedIndices) -> npt.NDArray[np.int64]:
    if indices[-1] - indices[0] >= MAX_CANDIDATES:
        raise SelectionError(f"its indices lie more than {MAX_CANDIDATES:,} apart: make several selections")
    array = np.asarray(indices, np.int64)
    if (np.diff(array) < 1).any():
        raise SelectionError("its indices must be ascending, each once")
    return array


def _check_labels(labels: object, count: int) -> CheckedLabels | None:
    if labels is None:
        return None
    if isinstance(labels, str) or not isinstance(labels, Sequence | np.ndarray) or getattr(labels, "ndim", 1) != 1:
        return _check_label(labels)
    if len(labels) != count:
        raise SelectionError(f"has {len(labels):,} labels for {count:,} images")
    are_integers = isinstance(labels, np.ndarray) and labels.dtype.kind in "iu"
    for label in (np.min(labels), np.max(labels)) if are_integers else labels:
        _check_label(label)
    return np.array(labels, np.int64)


def _check_label(label: object) -> int:
    if isinstance(label, bool) or not isinstance(label, int | np.integer):
        raise SelectionError(
            f"a label of a selection must be an integer, not {printable(repr(label))}: it is the place of the class among "
            "the class_names of the generator's card"
        )
    if not 0 <= label < _LABEL_LIMIT:
        raise SelectionError(f"a label of a selection must be in [0, 2**63), not {label}")
    return int(label)
