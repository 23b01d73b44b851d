"""The metrics of all workers of a server, in memory that they share."""

import logging
from collections.abc import Iterator
from typing import Any

import psutil
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from drawwell_serve.bentoml_compat import prometheus_memory
from drawwell_serve.processes import worker
from drawwell_serve.processes.shared_memory import SharedMemory

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

USAGE = {
    "process_cpu_seconds_total": "Processor time of the supervisor and of all its workers, past and present.",
    "process_resident_memory_bytes": "Memory of the supervisor and of its workers. Shared memory counts in each process.",
}

logger = logging.getLogger("drawwell.serve")


class SharedMetrics:
    """Room for the series of ``slots`` workers. The supervisor makes it, and each worker counts in a slot of its own."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._memory = SharedMemory("metrics", prometheus_memory.size(slots))
        self.descriptor = self._memory.descriptor

    def forget(self, slot: int) -> None:
        """Set the gauges of a worker that has ended to nothing: it has no work in hand any more."""
        self._memory.write(prometheus_memory.EMPTY, prometheus_memory.live_gauges(slot))


def exposition() -> bytes:
    """The series of all workers of this server, in Prometheus' text format."""
    if not worker.is_worker():
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    registry.register(_Server())
    return generate_latest(registry)


class _Server:
    """A collector in the sense of prometheus_client: the series of all processes of this server."""

    def collect(self) -> Iterator[Any]:
        yield from prometheus_memory.collect(worker.metrics_slots())
        try:
            yield from _usage(psutil.Process(worker.supervisor_of()))
        except (OSError, psutil.Error) as error:  # connections have taken all descriptors, or a worker ends just now
            logger.warning("/metrics leaves out memory and processor time this time: %s", error)


def _usage(supervisor: psutil.Process) -> Iterator[Any]:
    processes = [supervisor, *supervisor.children()]
    seconds = sum(sum(one.cpu_times()[:2]) for one in processes) + sum(supervisor.cpu_times()[2:4])
    memory = sum(one.memory_info().rss for one in processes)
    yield CounterMetricFamily("process_cpu_seconds", USAGE["process_cpu_seconds_total"], seconds)
    yield GaugeMetricFamily("process_resident_memory_bytes", USAGE["process_resident_memory_bytes"], memory)
