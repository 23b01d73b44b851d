"""The log: lines on standard output. It never holds up the server: if standard output takes no lines, they are dropped and counted.

A line is a JSON object, or text (``DRAWWELL_LOG_FORMAT``). It reports a request, or an event of the server.
"""

import atexit
import itertools
import logging
import os
import select
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import bentoml
import msgspec

from drawwell.errors import DrawwellError
from drawwell_serve.bentoml_compat.log_handlers import replace_handlers
from drawwell_serve.settings import LogFormat

MOST_WAITING_BYTES = 2**20
"""The limit on lines that standard output has not taken yet. Further lines are dropped."""
_GATHER_SECONDS = 0.02
"""Lines of this time are written together: every write takes the interpreter from the threads that draw."""
_LAST_SECONDS = 0.5
"""The longest time that the end of a process waits until its last lines are written."""
_CHUNK_BYTES = 2**16
"""The most that is written at once, between the lines of other processes. A pipe gets ``PIPE_BUF``: it may take more in parts."""

Facts = Mapping[str, object]


class Lines:
    """Writes lines to a descriptor on a thread of its own, so that no other thread waits for a reader."""

    def __init__(self, descriptor: int, in_words: Callable[[int], bytes], dropped: Callable[[], None]) -> None:
        """``in_words`` makes the line that tells how many lines were dropped. ``dropped`` is called for each dropped line."""
        self._descriptor, self._in_words, self._on_drop = descriptor, in_words, dropped
        self._lines: list[bytes] = []
        self._waiting_bytes, self._dropped = 0, 0
        self._is_torn = False  # the last line was taken in part
        self._chunk_bytes = select.PIPE_BUF if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else _CHUNK_BYTES
        self._lock, self._some, self._none = threading.Lock(), threading.Event(), threading.Event()
        self._none.set()
        threading.Thread(target=self._work, name="log", daemon=True).start()

    def add(self, line: bytes) -> None:
        """Write ``line`` soon, or drop it."""
        with self._lock:
            fits = self._waiting_bytes + len(line) <= MOST_WAITING_BYTES
            if fits:
                if not self._lines:
                    self._none.clear()
                    self._some.set()
                self._lines.append(line + b"\n")
                self._waiting_bytes += len(line)
            else:
                self._dropped += 1
        if not fits:
            self._on_drop()

    def close(self) -> None:
        """Wait, for half a second at most, until all lines are written."""
        self._none.wait(_LAST_SECONDS)

    def _work(self) -> None:
        # lines that were not taken, and not reported yet
        lost = 0
        while self._some.wait():
            time.sleep(_GATHER_SECONDS)
            with self._lock:
                lines, dropped = self._lines, self._dropped
                self._lines, self._dropped = [], 0
                self._some.clear()
            lost = self._write_between(lost, lines, dropped)
            with self._lock:
                self._waiting_bytes = sum(map(len, self._lines)) - len(self._lines)
                if not self._lines:
                    self._none.set()

    def _write_between(self, lost: int, lines: list[bytes], dropped: int) -> int:
        """Report ``lost`` missing lines, write ``lines``, report ``dropped`` missing lines. Return how many are still to be reported."""
        before, after = self._missing(lost), self._missing(dropped)
        entries = [*before, *((line, 1) for line in lines), *after]
        written = self._write([line for line, _ in entries])
        for _ in lines[max(0, written - len(before)) :]:
            self._on_drop()
        return sum(count for _, count in entries[written:])

    def _missing(self, count: int) -> list[tuple[bytes, int]]:
        """The line that reports ``count`` missing lines, with the count; an empty list for none."""
        return [(self._in_words(count) + b"\n", count)] if count else []

    def _write(self, lines: list[bytes]) -> int:
        """Write the lines, several at once. Return how many were taken: fewer only if standard output fails."""
        begin = 0
        while begin < len(lines):
            end, size = begin + 1, len(lines[begin])
            while end < len(lines) and size + len(lines[end]) <= self._chunk_bytes:
                size += len(lines[end])
                end += 1
            taken = self._put(b"".join(lines[begin:end]))
            if taken < size:
                ends = itertools.accumulate(map(len, lines[begin:end]))
                return begin + sum(end - 1 <= taken for end in ends)  # a line without its end of line counts as taken
            begin = end
        return begin

    def _put(self, content: bytes) -> int:
        """Write ``content``. Return how many bytes were taken: fewer only if standard output is closed, full or not waited for."""
        taken = 0
        try:
            if self._is_torn:
                os.write(self._descriptor, b"\n")
                self._is_torn = False
            while taken < len(content):
                taken += os.write(self._descriptor, content[taken:])
        except OSError:
            self._is_torn = self._is_torn or (taken > 0 and content[taken - 1 : taken] != b"\n")
        return taken


class Handler(logging.Handler):
    """Writes the records of Python's logging."""

    def __init__(self, lines: Lines, style: Callable[[Facts], bytes]) -> None:
        super().__init__()
        self._lines, self._style = lines, style

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            self._lines.add(self._style(_facts(record)))
        except Exception:  # as Python's handlers do: a wrong logging call must not end a request
            self.handleError(record)


class Log:
    """The log of this process."""

    def __init__(self, style: LogFormat, dropped: Callable[[], None]) -> None:
        self._style = _STYLES[style]
        self._lines = Lines(sys.stdout.fileno(), self._how_many, dropped)
        self.handler = Handler(self._lines, self._style)
        atexit.register(self.close)

    def close(self) -> None:
        """Wait, for half a second at most, until all lines are written."""
        self._lines.close()

    def request(self, facts: Facts) -> None:
        """Write the line of a request."""
        self._lines.add(self._style(facts))

    def _how_many(self, dropped: int) -> bytes:
        message = f"{dropped:,} lines of the log are missing here: standard output did not take them"
        return self._style(_facts(logging.makeLogRecord({"levelname": "WARNING", "msg": message})))


def install(style: LogFormat, dropped: Callable[[], None] = lambda: None) -> Log:
    """Write all records of this process's Python logging to standard output, in place of BentoML's handlers.

    Args:
        style: The format of the lines.
        dropped: Called for each line that standard output did not take.

    Raises:
        DrawwellError: Standard output is closed. Another file could get its descriptor.
    """
    if sys.stdout is None:
        raise DrawwellError("standard output is closed: send it to a file or to /dev/null")
    log = Log(style, dropped)
    replace_handlers(log.handler)
    logging.getLogger("drawwell").setLevel(logging.INFO)
    logging.captureWarnings(True)
    return log


def now() -> str:
    """The time in the format of the log."""
    return _time(time.time())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _facts(record: logging.LogRecord) -> dict[str, object]:
    worker = bentoml.server_context.worker_index
    facts: dict[str, object] = {"time": _time(record.created), "level": record.levelname}
    facts |= {} if worker is None else {"worker": worker}
    facts |= {"message": _encodable(record.getMessage())}
    exception = record.exc_info and _EXCEPTIONS.formatException(record.exc_info)
    return facts | ({"exception": _encodable(exception)} if exception else {})


def _encodable(text: str) -> str:
    """Escape the bytes of file names that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


_EXCEPTIONS = logging.Formatter()


def _text(facts: Facts) -> bytes:
    """``2026-01-31T12:00:00.000+00:00 WARNING worker=1 ...``: time, level, ``name=value`` for other facts, and the message."""
    rest = {name: value for name, value in facts.items() if name not in ("time", "level", "message", "exception")}
    named = [f"{name}={_word(value)}" for name, value in rest.items()]
    message = [_one_line(str(facts[name])) for name in ("message", "exception") if name in facts]
    return " ".join([str(facts["time"]), str(facts.get("level", "INFO")), *named, *message]).encode()


def _word(value: object) -> str:
    """A value without spaces and quotes unchanged, any other value as JSON."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    plain = text.isprintable() and text.isascii() and not set(text) & set(' "\\')
    return text if plain and text else msgspec.json.encode(text).decode()


def _one_line(text: str) -> str:
    """Escape control characters: a message may quote a client, and must not look like several lines."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


_STYLES: dict[LogFormat, Callable[[Any], bytes]] = {"json": msgspec.json.encode, "text": _text}
