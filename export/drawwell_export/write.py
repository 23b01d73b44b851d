"""A file that gets its name once it was opened and checked, so that a failed export leaves the earlier one."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from drawwell.atomic_files import replacing
from drawwell.errors import DrawwellError


class _Closable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closable)


def write_checked(content: bytes, out: Path, opened: Callable[[Path], Opened]) -> Opened:
    """Write ``out`` and return it opened. Raises ``DrawwellError`` if it cannot be written, and as ``opened`` does."""
    if out.is_dir():
        raise DrawwellError(f"{out}: is a folder; name a file with --out")
    try:
        with replacing(out) as file:
            file.write(content)
            file.flush()
            opened(Path(file.name)).close()  # as a server does, known answers included
    except OSError as error:
        raise DrawwellError(f"{out}: cannot be written ({error.strerror})") from error
    return opened(out)
