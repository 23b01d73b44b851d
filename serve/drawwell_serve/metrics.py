"""What an operator wants to know, for Prometheus.

BentoML's series of requests keep their names and labels, so that its dashboards hold, but ``endpoint`` is a route and not
a path: BentoML's middleware, which is turned off, would make a series of every address.
"""

import functools
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from drawwell.engine.engine import Engine
from drawwell_serve.processes import shared_metrics
from drawwell_serve.processes import worker as process

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PIECES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
logger = logging.getLogger("drawwell.serve")

_BENTOML = ("endpoint", "service_name", "service_version", "runner_name")


class Metrics:
    """The series of one worker."""

    def __init__(self, engine: Engine) -> None:
        series = _series()
        self._images, self._runs = series["images"], series["runs"]
        self._stages = {stage: series["stages"].labels(stage) for stage in ("waiting", "drawing", "encoding")}
        self._queue_images, self._queue_requests = series["queue_images"], series["queue_requests"]
        series["info"].labels(engine.provider, engine.digest, engine.fingerprint).set(1)

    def drew(self, images: int, waited: Sequence[float], drawing: float, encoding: float) -> None:
        """One run: its images, the seconds that each of its pieces waited, and the seconds it took."""
        self._images.inc(images)
        self._runs.observe(images)
        for seconds in waited:
            self._stages["waiting"].observe(seconds)
        self._stages["drawing"].observe(drawing)
        self._stages["encoding"].observe(encoding)

    def waiting(self, images: int) -> None:
        self._queue_images.set(images)

    def answering(self, requests: int) -> None:
        self._queue_requests.set(requests)


def refused(reason: str) -> None:
    """Count a request that was refused, by the code of the error."""
    _series()["refused"].labels(reason).inc()


def dropped_line() -> None:
    """Count a line of the log that nobody took."""
    _series()["dropped"].inc()


class Traffic:
    """BentoML's series of requests, of one route."""

    def __init__(self, route: str, service: str, version: str) -> None:
        labels = (route, service, version, service)
        self._in_progress = _series()["in_progress"].labels(*labels)
        self._last = _series()["last"].labels(service, version, service)
        self._total = functools.cache(lambda status: _series()["total"].labels(*labels, str(status)))
        self._duration = functools.cache(lambda status: _series()["duration"].labels(*labels, str(status)))

    def begin(self) -> None:
        self._in_progress.inc()
        self._last.set_to_current_time()

    def end(self, status: int, seconds: float) -> None:
        self._in_progress.dec()
        self._total(status).inc()
        self._duration(status).observe(seconds)


def exposition() -> bytes:
    """The series of all workers, as Prometheus reads them."""
    if not process.is_worker():
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    registry.register(_Server())
    return generate_latest(registry)


class _Server:
    """What prometheus_client calls a collector: the series of all processes of this server."""

    def collect(self) -> Iterator[Any]:
        yield from shared_metrics.collect(process.metrics_slots())
        try:
            yield from _usage(psutil.Process(process.supervisor_of()))
        except (OSError, psutil.Error) as error:  # connections have taken all descriptors, or a worker ends just now
            logger.warning("memory and processor time are not in /metrics now: %s", error)


def _usage(supervisor: psutil.Process) -> Iterator[Any]:
    processes = [supervisor, *supervisor.children()]
    seconds = sum(sum(one.cpu_times()[:2]) for one in processes) + sum(supervisor.cpu_times()[2:4])
    memory = sum(one.memory_info().rss for one in processes)
    yield CounterMetricFamily("process_cpu_seconds", USAGE["process_cpu_seconds_total"], seconds)
    yield GaugeMetricFamily("process_resident_memory_bytes", USAGE["process_resident_memory_bytes"], memory)


USAGE = {
    "process_cpu_seconds_total": "Processor time of the supervisor and of all workers that there were.",
    "process_resident_memory_bytes": "Memory of the supervisor and of all workers; what they share counts in each.",
}


@functools.cache
def _series() -> dict[str, Any]:
    """Made with the first value, when a worker has said where its values are kept."""
    live = functools.partial(Gauge, multiprocess_mode="livesum")
    with_status = (*_BENTOML, "http_response_code")
    return {
        "images": Counter("drawwell_images", "Images drawn."),
        "runs": Histogram("drawwell_run_images", "Images drawn together in one run.", buckets=_PIECES),
        "stages": Histogram(
            "drawwell_stage_seconds",
            "Of a piece: waiting for its turn. Of a run: drawing, and encoding for the replies.",
            ["stage"],
            buckets=_SECONDS,
        ),
        "refused": Counter("drawwell_refused", "Requests refused or given up, by the code of the error.", ["reason"]),
        "dropped": Counter("drawwell_log_lines_dropped", "Lines of the log that standard output did not take."),
        "queue_images": live("drawwell_queue_images", "Images that wait to be drawn."),
        "queue_requests": live("drawwell_queue_requests", "Requests for images that are being answered."),
        "info": live("drawwell_workers", "Workers, by what they draw.", ["provider", "digest", "fingerprint"]),
        "total": Counter("bentoml_service_request", "Requests.", with_status),
        "duration": Histogram(
            "bentoml_service_request_duration_seconds", "Of requests.", with_status, buckets=_SECONDS
        ),
        "in_progress": live("bentoml_service_request_in_progress", "Requests now.", _BENTOML),
        "last": Gauge(
            "bentoml_service_last_request_timestamp_seconds",
            "When the last request came.",
            ["service_name", "service_version", "runner_name"],
            multiprocess_mode="max",
        ),
    }
