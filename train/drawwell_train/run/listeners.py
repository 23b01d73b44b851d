"""Standard error of a training, which may lose its reader: a terminal is closed, or the other end of a pipe."""

import io
import signal
from collections.abc import Callable
from typing import TextIO


class Listeners(io.TextIOBase):
    """A stream for people. When nobody can read it any more, it asks the training to stop, as SIGTERM does: it saves and ends.
    What would be said then is dropped.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._gone = stream, False

    @property
    def encoding(self) -> str:  # type: ignore[override]  # that of its class can be set, which nobody does
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
