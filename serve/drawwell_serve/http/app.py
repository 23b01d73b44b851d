"""The routes of drawwell, a Starlette application."""

import asyncio
import functools

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from drawwell.errors import DeviceMemoryError
from drawwell.files.card import card_to_json
from drawwell_serve import metrics
from drawwell_serve.drawing.image_service import Well
from drawwell_serve.errors import ApiError, on_api_error, on_failure, on_full_memory, on_http_exception
from drawwell_serve.http import addresses
from drawwell_serve.http.accept import choose
from drawwell_serve.http.openapi import document
from drawwell_serve.http.page import render
from drawwell_serve.http.replies import FORMS, ImagesReply
from drawwell_serve.http.requests import read_drawing

MAX_ACCEPT = 4096
"""Characters; a browser sends some 150."""

PROBES = ("/livez", "/readyz", "/healthz")
"""What anybody may ask, with or without the key."""


async def generate(request: Request) -> Response:
    """``POST /generate``: draw images by address."""
    well: Well = request.app.state.well
    accept = ", ".join(request.headers.getlist("accept"))
    if len(accept) > MAX_ACCEPT:
        raise ApiError(400, "malformed_header", f"Accept is longer than {MAX_ACCEPT:,} characters")
    form = FORMS[choose(accept, tuple(FORMS))]
    well.check_room()  # before its body is read
    return ImagesReply(well, await read_drawing(request, well), form)


async def model(request: Request) -> Response:
    """``GET /model``: the digest, the card, the same in words, and how many images one reply holds."""
    return Response(_model_json(request.app.state.well), media_type="application/json")


async def page(request: Request) -> Response:
    """``GET /``: what is served here, for people."""
    prefix = request.headers.get("x-forwarded-prefix", "")
    html = await render(request.app.state.well, str(request.base_url), prefix)
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})  # it names the host as this client does


async def docs_json(_: Request) -> Response:
    """``GET /docs.json``: OpenAPI."""
    return Response(_openapi(), media_type="application/json")


async def alive(_: Request) -> Response:
    """``GET /livez`` and ``/healthz``: the process answers."""
    return PlainTextResponse("alive\n")


async def ready(request: Request) -> Response:
    """``GET /readyz``: whether images are drawn here, and drawn right."""
    well: Well = request.app.state.well
    await well.check()
    return PlainTextResponse("ready\n")


async def all_metrics(_: Request) -> Response:
    """``GET /metrics``: those of all workers, for Prometheus."""
    return Response(await asyncio.to_thread(metrics.exposition), media_type=metrics.CONTENT_TYPE)


async def other(request: Request) -> Response:
    """Whatever no route takes, so that its 404 or 405 is JSON too."""
    path: str = request.scope["path"]
    for route in request.app.routes[:-1]:
        if route.path_regex.fullmatch(path):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(route.methods))})
    if path.startswith(("/images/", "/shards/")):
        raise addresses.no_such(addresses.HOW)
    raise HTTPException(404)


@functools.cache
def _openapi() -> bytes:
    return msgspec.json.encode(document())


@functools.cache
def _model_json(well: Well) -> bytes:
    digest, card = well.engine.digest, well.engine.card
    written = msgspec.Raw(card_to_json(card))
    about = {"digest": digest, "card": written, "in_words": card.in_words(), "max_count": well.settings.max_count}
    return msgspec.json.encode(about)


def create_app() -> Starlette:
    """The application; whoever starts it puts a ``Well`` into ``app.state.well``."""
    return Starlette(
        routes=[
            Route("/generate", generate, methods=["POST"]),
            *addresses.routes(),
            Route("/model", model),
            Route("/", page),
            Route("/docs.json", docs_json),
            Route("/livez", alive),
            Route("/healthz", alive),
            Route("/readyz", ready),
            Route("/metrics", all_metrics),
            Route("/{path:path}", other, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        ],
        exception_handlers={
            ApiError: on_api_error,
            HTTPException: on_http_exception,
            DeviceMemoryError: on_full_memory,
            Exception: on_failure,
        },
    )
