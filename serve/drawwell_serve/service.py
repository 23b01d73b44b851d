"""The BentoML service: `bentoml serve` and `bentoml build` start here."""

import logging
import sys

import bentoml
from starlette.types import ASGIApp

from drawwell.errors import DrawwellError
from drawwell_serve import log, metrics
from drawwell_serve.bentoml_compat import connection, stopping
from drawwell_serve.bentoml_compat.service_class import service_behind
from drawwell_serve.bentoml_compat.worker_command import listening_address
from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.http.app import create_app
from drawwell_serve.http.hosts import names_of
from drawwell_serve.http.middleware import Middleware
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
    # imported here, since workers do not need them
    from drawwell_serve.bentoml_compat import serve_command
    from drawwell_serve.processes import supervisor

    serve_command.install(supervisor.serve)


def _in_front(bentoml_app: ASGIApp) -> ASGIApp:
    """Our application, with nothing of BentoML's in front of it."""
    request_log = _log.request if _log is not None and _settings.log_requests else None
    hosts = names_of(_settings, listening_address())
    return Middleware(_app, bentoml_app, _key, request_log, hosts, _settings.cors_origins)


@bentoml.service(
    name="drawwell",
    workers=_settings.workers,
    metrics={"enabled": False},  # drawwell_serve.metrics has the same series, by route
    service_class=service_behind(_in_front),
)
class Drawwell:
    """Draws the images of one generator by address."""

    def __init__(self) -> None:
        process.take_one_device(bentoml.server_context.worker_index or 1)
        _app.state.service = service = ImageService(_settings)
        logger.info("serving %s", service.in_words())
        process.say_ready()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Draw the pieces in the queue, and free the engine."""
        _app.state.service.close()
