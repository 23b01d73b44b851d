"""Files that are whole or not there at all, whatever ends the process, or the room on the disk, while they are written."""

import os
from pathlib import Path

from drawwell.errors import DrawwellError


class WriteError(DrawwellError):
    """A file could not be written; the message says which, and how many bytes. What was there before is as it was."""

    def __init__(self, path: Path, size: int, cause: OSError, hint: str = "") -> None:
        super().__init__(f"{path}: {size:,} bytes could not be written ({cause.strerror}){hint}")


def write(file: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``file``, and on the disk. Raises ``WriteError``."""
    temporary = file.with_name(f".{file.name}.writing")
    try:
        write_to_disk(temporary, content)
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WriteError(file, len(content), error) from error


def append(file: Path, line: bytes) -> None:
    """Add all of ``line`` to ``file``, or nothing. Raises ``WriteError``."""
    try:
        with file.open("ab", buffering=0) as stream:
            end, left = stream.tell(), line
            try:
                while left:
                    left = left[stream.write(left) :]
            except OSError:
                stream.truncate(end)
                raise
    except OSError as error:
        raise WriteError(file, len(line), error) from error


def write_to_disk(file: Path, content: bytes) -> None:
    """Write, and return when the disk has it."""
    with file.open("wb") as stream:
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
