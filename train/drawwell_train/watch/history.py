"""The lines of ``stats.jsonl``: read once from the first to the last, then only what is added.

A run may have a million lines, and a chart some hundred pixels. So only evenly spaced lines are decoded, and all of those at which KID
was measured or a condition began or ended. The others are only looked through as bytes.
"""

from collections import deque
from functools import cached_property, partial
from pathlib import Path

from drawwell.atomic_files import open_to_read
from drawwell_train.monitor.conditions import WINDOW_STEPS, sentence_of
from drawwell_train.run.run_files import Line, line_of

_KEPT_LINES = 1000
"""A chart is narrower in pixels."""
_KEPT_CHANGES = 200
_LONGEST_LINE_BYTES = 1 << 16
"""A line of training has some 300 bytes. A file without line breaks must not fill memory."""

_LARGEST = 1e30
"""Larger numbers are damage: no difference of two of them could be drawn."""

_KID, _CONDITIONS, _NO_CONDITIONS = b'"kid"', b'"conditions"', b'"conditions": []}\n'


class Thinned:
    """Evenly spaced lines: all of them, and when they become more than ``_KEPT_LINES``, every second, then every fourth, and so on."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.stride = 1
        self._seen = 0

    def add(self, raw: bytes) -> bool:
        """Add a line. Returns False if it is damaged."""
        chosen, self._seen = self._seen % self.stride == 0, self._seen + 1
        if not chosen:
            return True
        line = _decoded(raw)
        if line is None:
            return False
        self.lines.append(line)
        if len(self.lines) > _KEPT_LINES:
            self.lines, self.stride = self.lines[::2], 2 * self.stride
        return True


class Change:
    """A line at which conditions begin or end.

    Args:
        before: the conditions that were active.
        line: the line, with those that are active from it on.
        recent: the bytes of the lines up to this one, by which training judged.
    """

    def __init__(self, before: tuple[str, ...], line: Line, recent: tuple[bytes, ...]) -> None:
        self.step: int = line["step"]
        self.active = _conditions(line)
        self.began = tuple(name for name in self.active if name not in before)
        self.ended = tuple(name for name in before if name not in self.active)
        self._recent = recent

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What training said, a sentence for each condition."""
        lines = [line for line in map(_decoded, self._recent) if line]
        began = (sentence_of(name, True, lines) for name in self.began)
        return (*began, *(sentence_of(name, False, lines) for name in self.ended))


class History:
    """What is kept of a file.

    Attributes:
        thinned: lines for the curves.
        kids: the lines with KID.
        changes: where conditions began and ended, at most the last ``_KEPT_CHANGES``.
        last: the last whole line, None before the first.
        damaged: the number of the first damaged line that was seen, from 1; None if there was none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._identity: tuple[int, int] | None = None
        self._begin()

    def _begin(self) -> None:
        self._offset = self._count = 0
        self.thinned, self.kids = Thinned(), Thinned()
        self.changes = deque[Change](maxlen=_KEPT_CHANGES)
        self.last: Line | None = None
        self.damaged: int | None = None
        self._recent = deque[bytes](maxlen=WINDOW_STEPS)
        self._ending, self._active = _NO_CONDITIONS, tuple[str, ...]()

    def update(self) -> bool:
        """Read what is new. A line without its end is being written, and waits. Returns whether anything was new.

        Raises ``OSError``.
        """
        try:
            status = self._file.stat()
        except FileNotFoundError:
            known, self._identity = self._identity, None
            self._begin()
            return known is not None
        identity = status.st_ino, status.st_size
        if identity == self._identity:
            return False
        # a run that goes on from a checkpoint replaces the file by a shorter one
        if self._identity and (status.st_ino != self._identity[0] or status.st_size < self._offset):
            self._begin()
        self._identity = identity
        self._read()
        return True

    def _read(self) -> None:
        with open_to_read(self._file) as stream:
            stream.seek(self._offset)
            for raw in iter(partial(stream.readline, _LONGEST_LINE_BYTES), b""):
                if not raw.endswith(b"\n") and len(raw) < _LONGEST_LINE_BYTES:
                    break
                self._add(raw)
                self._offset += len(raw)
        if self._recent:
            self.last = _decoded(self._recent[-1]) or self.last

    def _add(self, raw: bytes) -> None:
        self._count += 1
        self._recent.append(raw)
        whole = self.thinned.add(raw)
        if _KID in raw:
            whole &= self.kids.add(raw)
        if not raw.endswith(self._ending):  # the line before had other conditions
            whole &= self._change(raw)
        if not whole and self.damaged is None:
            self.damaged = self._count

    def _change(self, raw: bytes) -> bool:
        line = _decoded(raw)
        if line is None:
            return False
        if _CONDITIONS in raw:
            self._ending = raw[raw.rfind(_CONDITIONS) :]
        if (active := _conditions(line)) != self._active:
            self.changes.append(Change(self._active, line, tuple(self._recent)))
            self._active = active
        return True


def _decoded(raw: bytes) -> Line | None:
    """A line whose numbers can be drawn; None for any other."""
    line = line_of(raw)
    numbers = (value for value in (line or {}).values() if isinstance(value, int | float))
    return line if all(abs(value) < _LARGEST for value in numbers) else None


def _conditions(line: Line) -> tuple[str, ...]:
    return tuple(line.get("conditions", ()))
