"""The BentoML service: `bentoml serve` and `bentoml build` start here."""

import logging
import os
import sys

import bentoml
from _bentoml_sdk import Service
from bentoml._internal.utils.analytics import usage_stats
from starlette.types import ASGIApp

from drawwell.errors import DrawwellError
from drawwell_serve import log, metrics
from drawwell_serve.bentoml_compat import connection, stopping
from drawwell_serve.drawing.image_service import Well
from drawwell_serve.http.app import create_app
from drawwell_serve.http.gate import Gate
from drawwell_serve.http.hosts import listens_to, names_of
from drawwell_serve.processes import worker as process
from drawwell_serve.settings import Settings

logger = logging.getLogger("drawwell.serve")

try:
    _settings = Settings()
    _key = _settings.key()
except DrawwellError as error:
    sys.exit(f"drawwell: {error}")

_app = create_app()
_log: log.Log | None = None

if process.is_worker():
    process.begin()
    connection.install(_settings)
    stopping.install()
    _log = log.install(_settings.log_format, metrics.dropped_line)
else:
    from drawwell_serve.bentoml_compat import supervisor  # not above: of all processes only this one needs it

    supervisor.install()
    os.environ["BENTOML_DO_NOT_TRACK"] = os.environ.get("BENTOML_DO_NOT_TRACK") or "True"
    usage_stats.do_not_track.cache_clear()  # BentoML has asked before


class GatedService(Service):  # type: ignore[misc]
    """With the gate in front, and nothing of BentoML's between it and our routes."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        request_log = _log.request if _log is not None and _settings.log_requests else None
        hosts = names_of(_settings, listens_to())
        return Gate(_app, super().to_asgi(is_main), _key, request_log, hosts, _settings.cors_origins)


@bentoml.service(
    name="drawwell",
    workers=_settings.workers,
    metrics={"enabled": False},  # ours has its series, by route
    service_class=GatedService,
)
class Drawwell:
    """Draws the images of one generator by address."""

    def __init__(self) -> None:
        process.take_one_device(bentoml.server_context.worker_index or 1)
        _app.state.well = well = Well(_settings)
        logger.info("serving %s", well.in_words())
        process.say_ready()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Let the piece under way end, and free the session."""
        _app.state.well.close()
