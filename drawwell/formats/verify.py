"""Check that a file of images, .npy, .tar or .zip, is whole: every byte of it is as drawwell writes it.

An archive is made again from the files in it, and the new bytes must equal the old ones: nothing stays unchecked, headers and
padding included. In an npy file the header is compared, and the checksum of the pixels. Both take little memory, however
large the file.
"""

import json
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from drawwell.formats.archives import CHECKSUMS, RECORD, Archive, Tar, Zip
from drawwell.formats.names import NAME, Addresses, counted
from drawwell.formats.npy import FOOTER_BYTES, FOOTER_MAGIC, Npy
from drawwell.pieces import pieces

_NPY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '\|u1', 'fortran_order': False, "
    rb"'shape': \(([1-9]\d{0,18}), ([1-9]\d{0,8}), ([1-9]\d{0,8}), ([13])\)",
    re.DOTALL,
)
_ZIP_BEGIN, _ZIP_END, _ZIP_END_BYTES = b"PK\3\4", b"PK\5\6", 22
_BEGINNING_BYTES = 256
_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class Report:
    """The state of a file, and how many whole images it holds at its beginning if it is whole or was cut off."""

    state: Literal["whole", "cut", "damaged", "foreign"]
    sentence: str
    """For a user, after the name of the file."""
    images: int = 0
    facts: Mapping[str, object] = field(default_factory=dict)
    """The record of a whole archive, without the checksums."""


def verify(file: Path) -> Report:
    """Read the whole file and report its state, by its content and not by its name. Raises ``OSError`` if it cannot be read."""
    kind = file.stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a pipe would be waited for, and cannot be read twice
        return Report("foreign", "is a pipe or a device, not a file")
    with file.open("rb", buffering=_PIECE_BYTES) as stream:
        beginning = stream.read(_BEGINNING_BYTES)
        stream.seek(0)
        if npy := _NPY.match(beginning):
            return _verify_npy(stream, tuple(map(int, npy.groups())))
        if beginning.startswith(_ZIP_BEGIN):
            return _verify_archive(stream, Zip())
        if NAME.fullmatch(beginning.partition(b"\0")[0].decode("latin-1")):
            return _verify_archive(stream, Tar())
    return _foreign()


def _verify_npy(stream: BinaryIO, shape: tuple[int, ...]) -> Report:
    npy, pixels = Npy(shape), math.prod(shape)
    try:
        _expect(stream, npy.header)
    except EOFError:
        return _cut_npy(shape[0], 0)
    except ValueError:
        return _damaged("its header is not as drawwell writes it")
    there = os.fstat(stream.fileno()).st_size - len(npy.header)
    if there < pixels + FOOTER_BYTES and not _ends_with(stream, FOOTER_MAGIC, FOOTER_BYTES):
        return _cut_npy(shape[0], min(there * shape[0] // pixels, shape[0]))
    if there != pixels + FOOTER_BYTES:
        return _damaged(f"its length does not fit the {counted(shape[0])} of its header")
    stream.seek(len(npy.header))
    for piece in pieces(range(pixels), _PIECE_BYTES):
        npy.append(stream.read(len(piece)))
    if stream.read() != npy.end():
        return _damaged("its pixels do not have the checksum at its end")
    _, height, width, channels = shape
    what = f"{counted(shape[0])} of {width} x {height} pixels, {'grey' if channels == 1 else 'colour'}"
    return Report("whole", f"whole: {what}; an npy file does not name their addresses", shape[0])


def _cut_npy(count: int, images: int) -> Report:
    if images == count:
        sentence = f"{counted(count)} are there, but no checksum after them: cut off, or not made by drawwell"
    else:
        sentence = f"cut off after {counted(images, 'whole image')} of {count:,}; ask for the rest from its start + {images} on"
    return Report("cut", sentence, images)


def _verify_archive(stream: BinaryIO, archive: Archive) -> Report:
    seen = Addresses()
    try:
        while (record := _take_file(stream, archive, seen)) is None:
            pass
        return _verify_end(stream, archive, seen, record)
    except EOFError:
        # the sizes in a zip have no checksum, and one that became too large leads beyond the end
        if _ends_with(stream, _ZIP_END, _ZIP_END_BYTES):
            return _damaged(seen.where())
        return Report("cut", seen.cut(), seen.images)
    except ValueError:
        return _damaged(seen.where()) if seen.name else _foreign()


def _take_file(stream: BinaryIO, archive: Archive, seen: Addresses) -> bytes | None:
    """Read one file and compare it with the same file made again. Return None, or the content of the record without reading past it.

    Raises ``EOFError`` if the archive was cut off, ``ValueError`` if it is damaged.
    """
    begin = stream.tell()
    name, content = archive.read(stream)
    stream.seek(begin)
    if name == RECORD:
        return content
    seen.begin(name)
    chunk = archive.chunk([(name, content)])
    _expect(stream, chunk.data)
    archive.append(chunk)
    seen.end()
    return None


def _verify_end(stream: BinaryIO, archive: Archive, seen: Addresses, record: bytes) -> Report:
    try:
        facts = {name: fact for name, fact in json.loads(record).items() if name not in CHECKSUMS}
    except (ValueError, AttributeError, RecursionError):
        return _damaged("its record cannot be read")
    if not seen.agree_with(facts):
        return _damaged("its record names other images than it holds")
    try:
        for piece in archive.end(facts):
            _expect(stream, piece)
    except EOFError:
        return Report(
            "cut", f"cut off after all its {counted(seen.images)}, before its end; make it again", seen.images
        )
    except ValueError:
        return _damaged("its files do not have the checksums at its end")
    if stream.read(1):
        return _damaged("it goes on after its end")
    return Report("whole", seen.whole(str(facts["digest"])), seen.images, facts)


def _expect(stream: BinaryIO, expected: bytes) -> None:
    received = stream.read(len(expected))
    if received != expected:
        raise EOFError if expected.startswith(received) else ValueError


def _ends_with(stream: BinaryIO, magic: bytes, length: int) -> bool:
    """Return whether the last ``length`` bytes of the file begin with ``magic``."""
    stream.seek(max(os.fstat(stream.fileno()).st_size - length, 0))
    return stream.read(len(magic)) == magic


def _damaged(what: str) -> Report:
    return Report("damaged", f"damaged: {what}; make it again")


def _foreign() -> Report:
    return Report("foreign", "is no .npy, .tar or .zip of images from drawwell: it differs at the beginning")
