"""Standard error of a training, whose reader may leave: a terminal or the other end of a pipe is closed."""

import io
import signal
from collections.abc import Callable
from typing import TextIO


class Listeners(io.TextIOBase):
    """A stream that a person reads. When its reader is gone, it raises SIGTERM once, so that training saves and stops, and drops all
    further text.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._gone = stream, False

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the base class allows assignment
        return self._stream.encoding

    def isatty(self) -> bool:
        return not self._gone and self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, say: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            say()
        except OSError:
            self._gone = True
            signal.raise_signal(signal.SIGTERM)
