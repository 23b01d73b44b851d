"""The routes of drawwell, a Starlette application that BentoML mounts beside its probes and metrics."""

import asyncio
import functools

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from drawwell.errors import DeviceMemoryError

from .accept import choose
from .errors import RETRY_SECONDS, ApiError, on_api_error, on_failure, on_full_memory, on_http_exception
from .openapi import document
from .page import render
from .replies import FORMS
from .requests import read_drawing
from .well import Well

ANSWER_SECONDS = 45
"""Below BentoML's 60, after which it would answer in another form and without ``Retry-After``."""


async def generate(request: Request) -> Response:
    """``POST /generate``: draw images by address."""
    well: Well = request.app.state.well
    form = FORMS[choose(", ".join(request.headers.getlist("accept")), list(FORMS))]
    drawing = await read_drawing(request, well.max_count)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await form(well, drawing)
    except TimeoutError:
        message = f"too many others are waiting: no reply began within {ANSWER_SECONDS} seconds"
        raise ApiError(503, "overloaded", message, headers={"Retry-After": str(RETRY_SECONDS)}) from None


async def model(request: Request) -> Response:
    """``GET /model``: the card, the digest, and how many images one reply holds."""
    return Response(_model_json(request.app.state.well), media_type="application/json")


async def page(request: Request) -> Response:
    """``GET /``: what is served here, for people."""
    return HTMLResponse(await render(request.app.state.well, str(request.base_url)))


async def docs_json(_: Request) -> Response:
    """``GET /docs.json``: OpenAPI."""
    return JSONResponse(document())


async def other(request: Request) -> Response:
    """Whatever no route takes, so that its 404 or 405 is JSON too."""
    for route in request.app.routes:
        if isinstance(route, Route) and route.path == request.url.path and route.methods:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(route.methods))})
    raise HTTPException(404)


@functools.cache
def _model_json(well: Well) -> bytes:
    return msgspec.json.encode({"digest": well.engine.digest, "card": well.engine.card, "max_count": well.max_count})


def create_app() -> Starlette:
    """The application; whoever starts it puts a ``Well`` into ``app.state.well``."""
    return Starlette(
        routes=[
            Route("/generate", generate, methods=["POST"]),
            Route("/model", model),
            Route("/", page),
            Route("/docs.json", docs_json),
            Route("/{path:path}", other, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        ],
        exception_handlers={
            ApiError: on_api_error,
            HTTPException: on_http_exception,
            DeviceMemoryError: on_full_memory,
            Exception: on_failure,
        },
    )
