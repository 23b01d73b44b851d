"""Archives of images, tar (POSIX ustar) and zip (PKWARE APPNOTE 6.3), made piece by piece.

The same files give the same bytes: no clock, no user and no file system goes into them. The bytes of a file do not depend on
the files before it, so chunks can be made side by side; one thread calls ``append`` and ``end``, in order.

The last file is a record named ``__drawwell__``, which the library webdataset skips. It is one line of JSON: the facts that
the caller gives, then ``facts_sha256`` of these facts as JSON, then ``sha256`` of every byte of the archive before the record.
An archive without a record was cut off; `drawwell verify` reads it.
"""

import hashlib
import json
import struct
import tarfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

File = tuple[str, bytes]
"""The name in the archive, and the content."""

RECORD = "__drawwell__"
CHECKSUMS = ("facts_sha256", "sha256")
"""The names in the record that the archive adds to the facts of its caller."""

_MAX_FILE_BYTES = 2**28
"""More than any image: a header that names a larger file is damaged, and must not fill the memory of its reader."""
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF
"""In a zip they mean that the number is in a Zip64 structure."""
_DOS_DATE = 1 << 5 | 1
"""1980-01-01, the first that a zip can name."""
_PLAIN, _ZIP64 = 20, 45
"""The versions of the format that a reader must know, 2.0 and 4.5."""
_LOCAL, _LOCAL_MAGIC = struct.Struct("<4s5H3L2H"), b"PK\3\4"
_CENTRAL_ENTRY = struct.Struct("<4s6H3L5H2L")
_END, _END64, _LOCATOR64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")


class Chunk(NamedTuple):
    """Files as they stand in an archive; for a zip also the name, CRC-32 and bytes of each, for its directory."""

    data: bytes
    entries: tuple[tuple[bytes, int, int], ...] = ()


class Archive(ABC):
    """One archive while it is made: ``append`` each chunk, then ``end``; the bytes that they return, in order, are the archive."""

    media_type: str

    def __init__(self) -> None:
        self.length = 0
        """Bytes so far."""
        self._sha256 = hashlib.sha256()

    @staticmethod
    @abstractmethod
    def chunk(files: Iterable[File]) -> Chunk:
        """Return the files as they stand in an archive, on any thread."""

    @staticmethod
    @abstractmethod
    def read(stream: BinaryIO) -> File:
        """Read the next file of an archive. Raises ``EOFError`` if the stream ends before the file, ``ValueError`` if there is no file."""

    def append(self, chunk: Chunk) -> bytes:
        """Return the bytes that come next."""
        self._sha256.update(chunk.data)
        self.length += len(chunk.data)
        return chunk.data

    def end(self, facts: Mapping[str, object]) -> Iterator[bytes]:
        """Yield the record and the end of the archive, in pieces, since the directory of a large zip is large."""
        checksums = hashlib.sha256(json.dumps({**facts}).encode()).hexdigest(), self._sha256.hexdigest()
        record = {**facts, **dict(zip(CHECKSUMS, checksums, strict=True))}
        yield self.append(self.chunk([(RECORD, json.dumps(record).encode() + b"\n")]))
        yield from self._close()

    @abstractmethod
    def _close(self) -> Iterator[bytes]: ...


class Tar(Archive):
    """As ``tar --format=ustar --mtime=@0 --owner=0 --group=0``, and as a WebDataset shard."""

    media_type = "application/x-tar"

    @staticmethod
    def chunk(files: Iterable[File]) -> Chunk:
        parts = []
        for name, content in files:
            header = tarfile.TarInfo(name)  # no owner, time 0 and mode 0644 unless it is told otherwise
            header.size = len(content)
            parts += [header.tobuf(tarfile.USTAR_FORMAT), content, bytes(-len(content) % tarfile.BLOCKSIZE)]
        return Chunk(b"".join(parts))

    @staticmethod
    def read(stream: BinaryIO) -> File:
        try:
            header = tarfile.TarInfo.frombuf(_exactly(stream, tarfile.BLOCKSIZE), "ascii", "strict")
        except tarfile.TarError as error:
            raise ValueError(str(error)) from error
        return header.name, _exactly(stream, header.size)

    def _close(self) -> Iterator[bytes]:
        yield bytes(2 * tarfile.BLOCKSIZE)  # POSIX asks for no more; filling up to 20 blocks is for tapes


class Zip(Archive):
    """Stored, since a PNG is deflated already; Zip64 from 65,535 files or 4 GiB on."""

    media_type = "application/zip"

    def __init__(self) -> None:
        super().__init__()
        # a million files are about 12 MB when deflated, and 700 MB as the ZipInfo of zipfile
        self._deflate, self._deflated = zlib.compressobj(1), list[bytes]()
        self._files = self._directory_bytes = 0

    @staticmethod
    def chunk(files: Iterable[File]) -> Chunk:
        parts, entries = [], []
        for name, content in files:
            encoded, crc, size = name.encode("ascii"), zlib.crc32(content), len(content)
            local = _LOCAL.pack(_LOCAL_MAGIC, _PLAIN, 0, 0, 0, _DOS_DATE, crc, size, size, len(encoded), 0)
            parts += [local, encoded, content]
            entries.append((encoded, crc, size))
        return Chunk(b"".join(parts), tuple(entries))

    @staticmethod
    def read(stream: BinaryIO) -> File:
        magic, *_, size, name_bytes, _ = _LOCAL.unpack(_exactly(stream, _LOCAL.size))
        if magic != _LOCAL_MAGIC:
            raise ValueError("no file begins here")
        return _exactly(stream, name_bytes).decode("ascii"), _exactly(stream, size)

    def append(self, chunk: Chunk) -> bytes:
        offset, directory = self.length, []
        for name, crc, size in chunk.entries:
            directory.append(_directory_entry(name, crc, size, offset))
            offset += _LOCAL.size + len(name) + size
        self._files += len(directory)
        self._directory_bytes += sum(map(len, directory))
        if deflated := self._deflate.compress(b"".join(directory)):  # mostly it waits for more
            self._deflated.append(deflated)
        return super().append(chunk)

    def _close(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj()
        self._deflated.append(self._deflate.flush())
        yield from map(inflate.decompress, self._deflated)
        yield _zip_end(self._files, self._directory_bytes, self.length)


def _directory_entry(name: bytes, crc: int, size: int, offset: int) -> bytes:
    far = offset >= _MAX_32
    extra, version = (struct.pack("<2HQ", 1, 8, offset), _ZIP64) if far else (b"", _PLAIN)
    fixed = (b"PK\1\2", _PLAIN, version, 0, 0, 0, _DOS_DATE, crc, size, size, len(name), len(extra), 0, 0, 0, 0)
    return _CENTRAL_ENTRY.pack(*fixed, min(offset, _MAX_32)) + name + extra


def _zip_end(files: int, size: int, offset: int) -> bytes:
    """The bytes after a directory of so many files and bytes that begins at ``offset``."""
    end64 = b""
    if files >= _MAX_16 or max(size, offset) >= _MAX_32:
        end64 = _END64.pack(b"PK\6\6", _END64.size - 12, _ZIP64, _ZIP64, 0, 0, files, files, size, offset)
        end64 += _LOCATOR64.pack(b"PK\6\7", 0, offset + size, 1)
    listed = min(files, _MAX_16)
    return end64 + _END.pack(b"PK\5\6", 0, 0, listed, listed, min(size, _MAX_32), min(offset, _MAX_32), 0)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    if not 0 <= size <= _MAX_FILE_BYTES:
        raise ValueError(f"no file of an image has {size:,} bytes")
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content
