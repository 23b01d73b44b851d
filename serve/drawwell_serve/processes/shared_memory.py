"""Memory that the processes of a server share. It has a file descriptor, and lies on no disk that could be full."""

import os
import sys
import tempfile
from pathlib import Path

from drawwell.errors import DrawwellError


class SharedMemory:
    """``size`` bytes, zeros at first. Processes that inherit ``descriptor`` see the same bytes."""

    def __init__(self, name: str, size: int) -> None:
        """Raises ``DrawwellError`` if there is no memory."""
        try:
            if sys.platform == "linux":
                self.descriptor = os.memfd_create(name)
                self.path = Path(f"/dev/fd/{self.descriptor}")
                """The path under which a process that inherited the descriptor reads the bytes as a file."""
            else:  # macOS has no memfd_create
                self._file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - it is closed with this object
                self.descriptor, self.path = self._file.fileno(), Path(self._file.name)
            os.truncate(self.descriptor, size)
        except OSError as error:
            raise DrawwellError(f"there is no memory for {name} ({size:,} bytes): {error.strerror}") from error

    def write(self, content: bytes, offset: int = 0) -> None:
        """Write ``content`` at ``offset``. Raises ``OSError``."""
        written = 0
        while written < len(content):
            written += os.pwrite(self.descriptor, memoryview(content)[written:], offset + written)

    def close(self) -> None:
        """Close it in this process. Other processes keep it."""
        os.close(self.descriptor)
