"""Files that are whole or not there at all, whatever ends the process, or the room on the disk, while they are written."""

import errno
import os
import stat
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

from drawwell.atomic_files import replacing
from drawwell.errors import DrawwellError
from drawwell_train.data import memory


class WriteError(DrawwellError):
    """A file could not be written; the message says which, and how many bytes. What was there before is as it was."""

    def __init__(self, path: Path, size: int, cause: OSError, hint: str = "") -> None:
        super().__init__(f"{path}: {size:,} bytes could not be written ({cause.strerror}){hint}")


def read(file: Path) -> bytes:
    """All of a file. Raises ``OSError`` for a pipe or a device, which would be read for ever, and for more than memory holds."""
    with open(file, "rb", opener=_at_once) as stream:
        if (size := _size(file, stream.fileno())) > memory.free():
            raise OSError(errno.ENOMEM, f"{size:,} bytes are more than memory holds", str(file))
        return stream.read()


def write(file: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``file``, and on the disk. Raises ``WriteError``."""
    try:
        with replacing(file) as stream:
            _write_through(stream, content)
    except OSError as error:
        raise WriteError(file, len(content), error) from error


def overwrite(file: Path, content: bytes) -> None:
    """Write ``content`` into ``file`` itself, which may be locked. Raises ``WriteError``."""
    try:
        with open(file, "r+b", buffering=0, opener=_at_once) as stream:
            _size(file, stream.fileno())
            stream.truncate(0)
            _write_all(stream, content)
    except OSError as error:
        raise WriteError(file, len(content), error) from error


def append(file: Path, line: bytes) -> None:
    """Add all of ``line`` to ``file``, or nothing. Raises ``WriteError``."""
    try:
        with open(file, "ab", buffering=0, opener=_at_once) as stream:
            end = _size(file, stream.fileno())
            try:
                _write_all(stream, line)
            except OSError:
                stream.truncate(end)
                raise
    except OSError as error:
        raise WriteError(file, len(line), error) from error


def _at_once(file: str, flags: int) -> int:
    """Open, and wait for nobody at the other end of a pipe."""
    return os.open(file, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def _size(file: Path, descriptor: int) -> int:
    """In bytes. Raises ``OSError`` for what is no file."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device", str(file))
    return status.st_size


def _write_all(stream: RawIOBase, content: bytes) -> None:
    while content:
        content = content[stream.write(content) :]


def write_to_disk(file: Path, content: bytes) -> None:
    """Write a new file, in the place of one that a crash left, and return when the disk has it."""
    file.unlink(missing_ok=True)
    with file.open("xb") as stream:
        _write_through(stream, content)


def _write_through(stream: BinaryIO, content: bytes) -> None:
    stream.write(content)
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Return when the disk has what was created and renamed in ``folder``."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
