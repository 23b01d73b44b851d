"""The values of all workers' metrics in one piece of shared memory.

prometheus_client adds up processes by files that they map, one for each kind of series. A disk that is full turns the next new
series into SIGBUS, and the server needs no disk to draw. In memory the values of a worker outlive it in the same way: what it
has counted stays, and the next worker in its slot counts on. Sockets between the workers would lose what a killed one had.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from prometheus_client import multiprocess, values
from prometheus_client.mmap_dict import MmapedDict, _read_all_values

from drawwell_serve.processes.shared_memory import SharedMemory

_KINDS = ("counter", "histogram", "gauge_max", "gauge_livesum")
_LIVE = "gauge_livesum"
"""Gauges of what a process has in hand."""
_KIND_BYTES = 2**22
"""For the series of one kind of one worker, some 15,000; they take memory only once they are there."""
_HEADER_BYTES = 8


class SharedMetrics:
    """Room for ``slots`` workers. The supervisor makes it; a worker opens it by ``descriptor`` and counts in its ``slot``."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._memory = SharedMemory("metrics", _size(slots))
        self.descriptor = self._memory.descriptor

    def forget(self, slot: int) -> None:
        """Empty the gauges of a worker that has ended: what it had in hand is in nobody's hand."""
        self._memory.write(bytes(_HEADER_BYTES), _offset(f"{_LIVE}_{slot}.db"))


def count_in(descriptor: int, slots: int, slot: int) -> None:
    """Have prometheus_client keep the values of this process in ``slot`` of the memory behind ``descriptor``.

    It must come before the first series is made.
    """
    memory = mmap.mmap(descriptor, _size(slots))

    class Region(MmapedDict):
        """The values of one kind of one worker."""

        def __init__(self, name: str) -> None:  # in place of opening a file
            begin = _offset(name)
            self._m: Any = memoryview(memory)[begin : begin + _KIND_BYTES]
            self._capacity, self._positions = _KIND_BYTES, {}
            self._used = max(_used(memory, begin), _HEADER_BYTES)
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
    """The series of all workers, added up: prometheus_client's families."""
    names = [f"{kind}_{slot}.db" for slot in range(slots) for kind in _KINDS]
    return multiprocess.MultiProcessCollector.merge(names)  # type: ignore[no-untyped-call]


def _size(slots: int) -> int:
    return slots * len(_KINDS) * _KIND_BYTES


def _offset(name: str) -> int:
    """Where the values of a file of this name lie: ``KIND_SLOT.db``, as prometheus_client calls them."""
    kind, _, slot = Path(name).stem.rpartition("_")
    return (int(slot) * len(_KINDS) + _KINDS.index(kind)) * _KIND_BYTES


def _used(memory: mmap.mmap, begin: int) -> int:
    used: int = struct.unpack_from("i", memory, begin)[0]
    return used


def _content(memory: mmap.mmap, begin: int) -> bytes:
    return memory[begin : begin + max(_used(memory, begin), _HEADER_BYTES)]
