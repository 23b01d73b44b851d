"""The log of requests: one line of JSON for each, on standard output."""

import asyncio
import sys


class RequestLog:
    """Lines that fall into one turn of the event loop are written together: every write lets a drawing thread take the
    interpreter, which is then not to be had for some time.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def add(self, line: bytes) -> None:
        """Write ``line`` at the end of this turn."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(line)

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stdout.buffer.write(b"\n".join((*lines, b"")))
        sys.stdout.buffer.flush()
