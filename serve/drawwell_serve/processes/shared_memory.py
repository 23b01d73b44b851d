"""Memory that the processes of a server share: it has the descriptor of a file, and lies on no disk that could fill up."""

import os
import sys
import tempfile
from pathlib import Path

from drawwell.errors import DrawwellError


class SharedMemory:
    """``size`` bytes, zeros at first. Processes that inherit ``descriptor`` see the same bytes."""

    def __init__(self, name: str, size: int) -> None:
        """Raises ``DrawwellError`` where the memory cannot be had."""
        try:
            if sys.platform == "linux":
                self.descriptor = os.memfd_create(name)
                self.path = Path(f"/dev/fd/{self.descriptor}")
                """Where a process that inherited the descriptor reads the bytes as a file."""
            else:  # other systems have no memory without a name
                self._file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - it lasts as long as this
                self.descriptor, self.path = self._file.fileno(), Path(self._file.name)
            os.truncate(self.descriptor, size)
        except OSError as error:
            raise DrawwellError(f"no memory for {name} ({size:,} bytes): {error.strerror}") from error

    def write(self, content: bytes, offset: int = 0) -> None:
        """Write ``content`` at ``offset``. Raises ``OSError``."""
        written = 0
        while written < len(content):
            written += os.pwrite(self.descriptor, memoryview(content)[written:], offset + written)

    def close(self) -> None:
        """Let go of it here; others keep it."""
        os.close(self.descriptor)
