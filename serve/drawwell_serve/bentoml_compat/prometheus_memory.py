"""prometheus_client counts in memory that all workers share, in place of files.

prometheus_client adds up the values of several processes through files that each process maps, one for each kind of series.
If the disk is full, the next new series ends the process with SIGBUS, and the server needs no disk to draw. In shared memory the
values outlive their worker in the same way: its counts stay, and the next worker in its slot counts on. Sockets between the
workers would lose the counts of a worker that is killed.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from prometheus_client import multiprocess, values
from prometheus_client.mmap_dict import MmapedDict, _read_all_values

EMPTY = bytes(8)
"""The header of a region without values."""

_KINDS = ("counter", "histogram", "gauge_max", "gauge_livesum")
_LIVE = "gauge_livesum"
"""The kind of the gauges that count only while their process lives."""
_KIND_BYTES = 2**22
"""For the series of one kind of one worker, some 15,000. Memory is taken only for the series that exist."""


def size(slots: int) -> int:
    """The bytes of memory for that many slots."""
    return slots * len(_KINDS) * _KIND_BYTES


def live_gauges(slot: int) -> int:
    """The offset of the region with the gauges of a slot's live process. ``EMPTY`` written there forgets them."""
    return _offset(f"{_LIVE}_{slot}.db")


def count_in(descriptor: int, slots: int, slot: int) -> None:
    """Have prometheus_client keep the values of this process in ``slot`` of the memory behind ``descriptor``.

    Call it before the first series is made.
    """
    memory = mmap.mmap(descriptor, size(slots))

    class Region(MmapedDict):
        """The values of one kind of one worker."""

        def __init__(self, name: str) -> None:  # in place of opening a file
            begin = _offset(name)
            self._m: Any = memoryview(memory)[begin : begin + _KIND_BYTES]
            self._capacity, self._positions = _KIND_BYTES, {}
            self._used = max(_used(memory, begin), len(EMPTY))
            self._m[:4] = struct.pack("i", self._used)
            for key, _, _, position in _read_all_values(_content(memory, begin), self._used):  # type: ignore[no-untyped-call]
                self._positions[key] = position

        @staticmethod
        def read_all_values_from_file(name: str) -> Any:
            content = _content(memory, _offset(name))
            return _read_all_values(content, len(content))  # type: ignore[no-untyped-call]

    values.MmapedDict = multiprocess.MmapedDict = Region  # type: ignore[assignment, attr-defined]
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


def collect(slots: int) -> Any:
    """The series of all workers, added up: prometheus_client's metric families."""
    names = [f"{kind}_{slot}.db" for slot in range(slots) for kind in _KINDS]
    return multiprocess.MultiProcessCollector.merge(names)  # type: ignore[no-untyped-call]


def _offset(name: str) -> int:
    """The offset of the region that stands for a file ``KIND_SLOT.db``, as prometheus_client names its files."""
    kind, _, slot = Path(name).stem.rpartition("_")
    return (int(slot) * len(_KINDS) + _KINDS.index(kind)) * _KIND_BYTES


def _used(memory: mmap.mmap, begin: int) -> int:
    used: int = struct.unpack_from("i", memory, begin)[0]
    return used


def _content(memory: mmap.mmap, begin: int) -> bytes:
    return memory[begin : begin + max(_used(memory, begin), len(EMPTY))]
