"""The class of the BentoML service, which puts our application in front of BentoML's."""

from collections.abc import Callable

from _bentoml_sdk import Service
from starlette.types import ASGIApp


def service_behind(wrap: Callable[[ASGIApp], ASGIApp]) -> type:
    """A subclass of BentoML's ``Service`` that serves ``wrap(app)``, where ``app`` is BentoML's application.

    BentoML's ``add_asgi_middleware`` would leave BentoML's own middleware outside of ours, with its cost for every request.
    """

    class WrappedService(Service):  # type: ignore[misc]
        def to_asgi(self, is_main: bool = True) -> ASGIApp:
            return wrap(super().to_asgi(is_main))

    return WrappedService
