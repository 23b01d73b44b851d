"""The lines of ``stats.jsonl``: read once from the first to the last, then only what is added.

A run may have a million lines, and a chart some hundred pixels. So every line is decoded once, and only what can be seen is kept.
"""

from collections import deque
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO

from drawwell.atomic_files import open_to_read
from drawwell_train.monitor.conditions import WINDOW_STEPS, sentence_of
from drawwell_train.watch.bands import Bands
from drawwell_train.watch.row import NUMBERS, Row, rows_of, table_of
from drawwell_train.watch.thinned import Thinned

_BLOCK_BYTES = 1 << 20
"""A line of training has some 300 bytes. More bytes without a line break are damage, and must not fill memory."""
_KNOWN_BYTES = 512
"""By which a file is known again."""
_KEPT_CHANGES = 200


class Change:
    """A line at which conditions begin or end.

    Args:
        before: the conditions that were active.
        rows: the lines up to this one, by which training judged.
    """

    def __init__(self, before: Sequence[str], rows: Sequence[Row]) -> None:
        self.step, self.active = rows[-1].step, tuple(rows[-1].conditions)
        self.began = tuple(name for name in self.active if name not in before)
        self.ended = tuple(name for name in before if name not in self.active)
        self._rows = rows

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What training said, a sentence for each condition."""
        lines = [row.numbers() for row in self._rows if row.step > self.step - WINDOW_STEPS]
        began = (sentence_of(name, True, lines) for name in self.began)
        return (*began, *(sentence_of(name, False, lines) for name in self.ended))


class History:
    """What is kept of a file.

    Attributes:
        curves: the numbers, by their names.
        bands: when conditions were active.
        changes: where conditions began and ended, at most the last ``_KEPT_CHANGES``.
        last: the last whole line, None before the first.
        count: of lines.
        damaged: the number of the first damaged line, from 1; None if there was none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, ...] | None = None
        self._begin()

    def _begin(self) -> None:
        self._offset = self.count = 0
        self._head = self._tail = b""
        self.curves = {name: Thinned() for name in NUMBERS}
        self.bands, self.changes = Bands(), deque[Change](maxlen=_KEPT_CHANGES)
        self.last: Row | None = None
        self.damaged: int | None = None
        self._recent: list[Row] = []
        self._active: Sequence[str] = []

    def update(self) -> bool:
        """Read what is new. A line without its end is being written, and waits. Returns whether anything was new.

        Raises ``OSError``.
        """
        try:
            status = self._file.stat()
        except FileNotFoundError:
            known, self._seen = self._seen, None
            self._begin()
            return known is not None
        now = status.st_ino, status.st_size, status.st_mtime_ns
        if now == self._seen:
            return False
        with open_to_read(self._file) as stream:
            if not self._goes_on(stream):
                self._begin()
            for block in iter(partial(self._block, stream), b""):
                self._add(block)
        self._seen = now  # after an error the file is read again
        return True

    def _goes_on(self, stream: BinaryIO) -> bool:
        """Whether the file still begins with what was read: a run that goes on from a checkpoint, or is trained anew, does not."""
        head = stream.read(len(self._head))
        stream.seek(self._offset - len(self._tail))
        return head == self._head and stream.read(len(self._tail)) == self._tail

    def _block(self, stream: BinaryIO) -> bytes:
        stream.seek(self._offset)
        block = stream.read(_BLOCK_BYTES)
        return block[: block.rfind(b"\n") + 1] or (block if len(block) == _BLOCK_BYTES else b"")

    def _add(self, block: bytes) -> None:
        self._head = self._head or block[:_KNOWN_BYTES]
        self._tail = block[-_KNOWN_BYTES:]
        self._offset += len(block)
        rows = rows_of(block) if block.endswith(b"\n") else [None]
        if self.damaged is None and None in rows:
            self.damaged = self.count + rows.index(None) + 1
        self.count += len(rows)
        if whole := [row for row in rows if row is not None]:
            self._draw(whole)
            self._judge(whole)
            self.last = whole[-1]

    def _draw(self, rows: list[Row]) -> None:
        table = table_of(rows)
        for place, name in enumerate(NUMBERS, 1):
            points = table[:, (0, place)]
            self.curves[name].add(points[points[:, 1] == points[:, 1]])  # without NaN

    def _judge(self, rows: list[Row]) -> None:
        known = [*self._recent, *rows]
        for place, row in enumerate(rows, len(self._recent)):
            if row.conditions != self._active:
                self.changes.append(Change(self._active, known[max(0, place + 1 - WINDOW_STEPS) : place + 1]))
                self.bands.change(row.step, row.conditions)
                self._active = row.conditions
        self._recent = known[-WINDOW_STEPS:]
