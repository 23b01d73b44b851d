"""The Prometheus series of one worker.

The series of requests have the names and labels of BentoML's, so that its dashboards work. But their ``endpoint`` is a route, not
a path: BentoML's own middleware, which is turned off, would make a series of every address.
"""

import functools
from collections.abc import Sequence
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from drawwell.engine.engine import Engine

_PIECE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BENTOML_LABELS = ("endpoint", "service_name", "service_version", "runner_name")


class Metrics:
    """The series of one worker."""

    def __init__(self, engine: Engine) -> None:
        series = _series()
        self._images, self._pictures, self._runs = series["images"], series["pictures"], series["runs"]
        self._stages = {
            stage: series["stages"].labels(stage) for stage in ("waiting", "drawing", "judging", "encoding")
        }
        self._queue_images, self._queue_requests = series["queue_images"], series["queue_requests"]
        series["info"].labels(engine.provider, engine.digest, engine.fingerprint).set(1)

    def drew(self, images: int, waited: Sequence[float], drawing: float, encoding: float) -> None:
        """Count one run of the engine.

        Args:
            images: The number of its images.
            waited: The seconds that each of its pieces waited.
            drawing: The seconds of drawing.
            encoding: The seconds of encoding for the replies.
        """
        self._images.inc(images)
        self._runs.observe(images)
        self._ran(waited, "drawing", drawing, encoding)

    def judged(self, pictures: int, waited: Sequence[float], judging: float, encoding: float) -> None:
        """Count one run of the discriminator, as ``drew`` counts one of the engine."""
        self._pictures.inc(pictures)
        self._ran(waited, "judging", judging, encoding)

    def _ran(self, waited: Sequence[float], stage: str, running: float, encoding: float) -> None:
        for seconds in waited:
            self._stages["waiting"].observe(seconds)
        self._stages[stage].observe(running)
        self._stages["encoding"].observe(encoding)

    def waiting(self, images: int) -> None:
        """Set the number of images that wait to be drawn."""
        self._queue_images.set(images)

    def answering(self, requests: int) -> None:
        """Set the number of requests for images that are being answered."""
        self._queue_requests.set(requests)


def refused(reason: str) -> None:
    """Count a refused request. ``reason`` is the code of the error."""
    _series()["refused"].labels(reason).inc()


def dropped_line() -> None:
    """Count a line of the log that standard output did not take."""
    _series()["dropped"].inc()


class Traffic:
    """The series of requests to one route."""

    def __init__(self, route: str, service: str, version: str) -> None:
        labels = (route, service, version, service)
        self._in_progress = _series()["in_progress"].labels(*labels)
        self._last = _series()["last"].labels(service, version, service)
        self._total = functools.cache(lambda status: _series()["total"].labels(*labels, str(status)))
        self._duration = functools.cache(lambda status: _series()["duration"].labels(*labels, str(status)))

    def begin(self) -> None:
        """Count a request that begins."""
        self._in_progress.inc()
        self._last.set_to_current_time()

    def end(self, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        self._in_progress.dec()
        self._total(status).inc()
        self._duration(status).observe(seconds)


@functools.cache
def _series() -> dict[str, Any]:
    """The series, made with the first value: by then a worker has named the memory for its values."""
    live = functools.partial(Gauge, multiprocess_mode="livesum")
    with_status = (*_BENTOML_LABELS, "http_response_code")
    return {
        "images": Counter("drawwell_images", "Images drawn."),
        "pictures": Counter("drawwell_judged", "Pictures judged."),
        "runs": Histogram("drawwell_run_images", "Images drawn together in one run.", buckets=_PIECE_BUCKETS),
        "stages": Histogram(
            "drawwell_stage_seconds",
            "Seconds that a piece waited for its turn (waiting), and that a run took for drawing or judging, and for encoding the replies.",
            ["stage"],
            buckets=_SECONDS_BUCKETS,
        ),
        "refused": Counter(
            "drawwell_refused", "Requests that were refused or broken off, by the code of the error.", ["reason"]
        ),
        "dropped": Counter(
            "drawwell_log_lines_dropped", "Log lines that were dropped, since standard output did not take them."
        ),
        "queue_images": live("drawwell_queue_images", "Images that wait to be drawn."),
        "queue_requests": live("drawwell_queue_requests", "Requests for images that are being answered."),
        "info": live(
            "drawwell_workers",
            "Workers, by provider, generator and render fingerprint.",
            ["provider", "digest", "fingerprint"],
        ),
        "total": Counter("bentoml_service_request", "Requests that were answered, by route and status.", with_status),
        "duration": Histogram(
            "bentoml_service_request_duration_seconds",
            "Seconds from the start of a request to the last byte of its reply.",
            with_status,
            buckets=_SECONDS_BUCKETS,
        ),
        "in_progress": live(
            "bentoml_service_request_in_progress", "Requests that are being answered now.", _BENTOML_LABELS
        ),
        "last": Gauge(
            "bentoml_service_last_request_timestamp_seconds",
            "Time at which the last request came.",
            ["service_name", "service_version", "runner_name"],
            multiprocess_mode="max",
        ),
    }
