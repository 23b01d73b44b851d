"""The BentoML service: `bentoml serve` and `bentoml build` start here."""

import logging
import sys

import bentoml
import click
from _bentoml_sdk import Service
from bentoml._internal.configuration.containers import BentoMLContainer
from starlette.types import ASGIApp

from drawwell.engine import Engine
from drawwell.errors import DrawwellError

from . import connection, metrics, process, stopping
from .app import create_app
from .gate import Gate
from .hosts import listens_to, names_of
from .settings import Settings
from .well import Well

logger = logging.getLogger("bentoml.drawwell")  # which BentoML writes out

try:
    _settings = Settings()
    _key = _settings.key()
except DrawwellError as error:
    sys.exit(f"drawwell: {error}")

_app = create_app()

if process.is_worker():
    connection.install(_settings)
    stopping.install()
else:
    process.share_no_metrics()


class GatedService(Service):  # type: ignore[misc]
    """With the gate in front, and nothing of BentoML's between it and our routes."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        hosts = names_of(_settings, listens_to())
        return Gate(_app, super().to_asgi(is_main), _key, _settings.log_requests, hosts, _settings.cors_origins)


@bentoml.service(
    name="drawwell",
    http={"host": "127.0.0.1", "port": 3000},  # BentoML would listen to every network
    workers=_settings.workers,
    metrics={"enabled": False},  # ours has its series, by route
    service_class=GatedService,
)
class Drawwell:
    """Draws the images of one generator by address."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """End the start with one line where the generator cannot be served: BentoML would start its workers again for ever."""
        options = click.get_current_context().params
        if BentoMLContainer.http.cors.enabled.get():
            logger.warning("BentoML's settings of CORS have no effect here: name the origins in DRAWWELL_CORS_ORIGINS")
        try:
            _settings.check_exposure(options.get("host") or BentoMLContainer.http.host.get())
            Engine(_settings.file, _settings.provider, _settings.threads_of_worker).close()
        except DrawwellError as error:
            sys.exit(f"drawwell: {error}")
        from . import supervisor  # not above: of all processes only this one needs it

        supervisor.install()

    def __init__(self) -> None:
        process.end_with_parent()
        process.take_one_device(bentoml.server_context.worker_index or 1)
        metrics.forget_dead_workers()
        _app.state.well = well = Well(_settings)
        logger.info("%s", well.in_words())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Let the piece under way end, and free the session."""
        _app.state.well.close()
