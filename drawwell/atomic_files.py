"""Files that are whole under their name or not there, whatever ends the process, or fills the disk, while they are written."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

from drawwell.errors import WriteError

_SUFFIX, _RANDOM_BYTES = ".writing", 8


@contextmanager
def replacing(out: Path, sync: bool = True) -> Iterator[BinaryIO]:
    """A new file beside ``out``, which replaces it at the end of the block, and is removed if the block fails.

    Its name is random, so two writers never share a file, and a link that somebody planted is not followed.

    Args:
        out: the file to write.
        sync: wait until the disk has the content before the file gets its name. Without it, a power cut may leave it empty.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = out.with_name(f".{secrets.token_hex(_RANDOM_BYTES)}{_SUFFIX}")
    try:
        with temporary.open("xb") as stream:
            yield stream
            if sync:
                _sync(stream)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that ``replacing`` left in ``folder`` when a process was killed. Raises ``OSError``."""
    for leftover in folder.glob(f".{'[0-9a-f]' * 2 * _RANDOM_BYTES}{_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def write(file: Path, content: bytes) -> None:
    """Replace ``file`` by ``content``, and return when the disk has it. Raises ``WriteError``."""
    try:
        with replacing(file) as stream:
            stream.write(content)
    except OSError as error:
        raise WriteError(file, len(content), error) from error


def write_new(file: Path, content: bytes) -> None:
    """Write ``file`` under its own name, for a folder that gets its name later, and return when the disk has it. Raises ``OSError``."""
    file.unlink(missing_ok=True)
    with file.open("xb") as stream:
        stream.write(content)
        _sync(stream)


def sync_folder(folder: Path) -> None:
    """Return when the disk has what was created and renamed in ``folder``. Raises ``OSError``."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def append(file: Path, line: bytes) -> None:
    """Add all of ``line`` to ``file``, or nothing. Raises ``WriteError``."""
    try:
        with open(file, "ab", buffering=0, opener=_without_waiting) as stream:
            end = _size(file, stream.fileno())
            try:
                _write_all(stream, line)
            except OSError:
                stream.truncate(end)
                raise
    except OSError as error:
        raise WriteError(file, len(line), error) from error


def overwrite(file: Path, content: bytes) -> None:
    """Write ``content`` into ``file`` itself, which keeps a lock on it. Not atomic. Raises ``WriteError``."""
    try:
        with open(file, "r+b", buffering=0, opener=_without_waiting) as stream:
            _size(file, stream.fileno())
            stream.truncate(0)
            _write_all(stream, content)
    except OSError as error:
        raise WriteError(file, len(content), error) from error


def read(file: Path, most_bytes: int) -> bytes:
    """The content of ``file``. Raises ``OSError`` for a pipe or a device, which may never end, and for more than ``most_bytes``."""
    with open_to_read(file) as stream:
        if (size := _size(file, stream.fileno())) > most_bytes:
            raise OSError(errno.ENOMEM, f"{size:,} bytes are more than memory holds", str(file))
        return stream.read()


def open_to_read(file: Path) -> BinaryIO:
    """``file``, open for reading. Raises ``OSError``, also for a pipe or a device, which may never end."""
    stream = open(file, "rb", opener=_without_waiting)  # noqa: SIM115 - the caller closes it
    try:
        _size(file, stream.fileno())
    except OSError:
        stream.close()
        raise
    return stream


def _without_waiting(file: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe."""
    return os.open(file, flags | os.O_NONBLOCK, 0o666)


def _size(file: Path, descriptor: int) -> int:
    """Size in bytes. Raises ``OSError`` for a pipe or a device."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device", str(file))
    return status.st_size


def _write_all(stream: RawIOBase, content: bytes) -> None:
    while content:
        content = content[stream.write(content) :]
