"""The BentoML service: `bentoml serve` and `bentoml build` start here."""

import sys

import bentoml

from drawwell.engine import Engine
from drawwell.errors import DrawwellError

from .app import create_app
from .settings import Settings
from .well import Well

_app = create_app()


@bentoml.service(
    name="drawwell",
    http={"host": "127.0.0.1", "port": 3000},  # BentoML would listen to every network
    logging={"access": {"enabled": False}},  # this and tracing cost more than the rest of a request
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(_app, path="/")
class Drawwell:
    """Draws the images of one generator by address."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """End the start with one line where the generator cannot be served: BentoML would start its workers again for ever."""
        try:
            settings = Settings.from_environment()
            Engine(settings.generator, settings.provider, settings.threads).close()
        except DrawwellError as error:
            sys.exit(f"drawwell: {error}")

    def __init__(self) -> None:
        _app.state.well = Well(Settings.from_environment())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Let the piece under way end, and free the session."""
        _app.state.well.close()
