"""The routes of drawwell, a Starlette application."""

import asyncio
import functools

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from drawwell.errors import DeviceMemoryError
from drawwell.files.card import card_to_json
from drawwell_serve.drawing.body_memory import SHORT_BODY_BYTES
from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.drawing.judge_service import CANNOT_JUDGE
from drawwell_serve.errors import ApiError, on_api_error, on_failure, on_full_memory, on_http_exception
from drawwell_serve.http import addresses
from drawwell_serve.http.accept import accepted
from drawwell_serve.http.body import read_json
from drawwell_serve.http.formats import FORMATS
from drawwell_serve.http.judging import judge
from drawwell_serve.http.openapi import document
from drawwell_serve.http.page import render
from drawwell_serve.http.page_files import page_file
from drawwell_serve.http.parse_request import parse_request
from drawwell_serve.http.replies import ImagesReply
from drawwell_serve.processes import shared_metrics

PROBES = ("/livez", "/readyz", "/healthz")
"""The routes that need no key."""


async def generate(request: Request) -> Response:
    """``POST /generate``: draw images by address."""
    service: ImageService = request.app.state.service
    reply_format = FORMATS[accepted(request, tuple(FORMATS))]
    service.check_room()  # before the body is read
    body, card, max_count = await read_json(request, service), service.engine.card, service.settings.max_count
    # a short body is parsed in about a millisecond; msgspec and numpy take longer for others
    if len(body) <= SHORT_BODY_BYTES and not _may_look_for_labels(body):
        images = parse_request(body, card, max_count)
    else:
        images = await asyncio.to_thread(parse_request, body, card, max_count)
    return ImagesReply(service, images, reply_format)


def _may_look_for_labels(body: bytes) -> bool:
    """``per_class``, under any spelling of its letters, may take a second."""
    return b"per_class" in body or b"\\u" in body


async def model(request: Request) -> Response:
    """``GET /model``: the digest, the card, the card in words, the most images of one reply, and the judge if there is one."""
    service: ImageService = request.app.state.service
    judging = service.judging
    judge_fails = service.discriminator is not None if judging is None else judging.work.failed
    return Response(_model_json(service, judge_fails), media_type="application/json")


async def page(request: Request) -> Response:
    """``GET /``: a page for people with the generator, some of its images, and commands to draw more."""
    prefix = request.headers.get("x-forwarded-prefix", "")
    return render(request.app.state.service, str(request.base_url), prefix)


async def docs_json(_: Request) -> Response:
    """``GET /docs.json``: the OpenAPI document."""
    return Response(_openapi(), media_type="application/json")


async def alive(_: Request) -> Response:
    """``GET /livez`` and ``/healthz``: the process answers."""
    return PlainTextResponse("alive\n")


async def ready(request: Request) -> Response:
    """``GET /readyz``: the worker draws images, and its pixels are right."""
    service: ImageService = request.app.state.service
    await service.check()
    return PlainTextResponse("ready\n")


async def all_metrics(_: Request) -> Response:
    """``GET /metrics``: the series of all workers, for Prometheus."""
    return Response(await asyncio.to_thread(shared_metrics.exposition), media_type=shared_metrics.CONTENT_TYPE)


async def other(request: Request) -> Response:
    """Answer every other path or method with 404 or 405 in JSON."""
    path: str = request.scope["path"]
    for route in request.app.routes[:-1]:
        if route.path_regex.fullmatch(path):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(route.methods))})
    if path.startswith(("/images/", "/shards/", "/latents/")):
        raise addresses.no_such(addresses.PATHS)
    raise HTTPException(404)


@functools.cache
def _openapi() -> bytes:
    return msgspec.json.encode(document())


@functools.cache
def _model_json(service: ImageService, judge_fails: bool) -> bytes:
    digest, card = service.engine.digest, service.engine.card
    written = msgspec.Raw(card_to_json(card))
    about = {"digest": digest, "card": written, "in_words": card.in_words(), "max_count": service.settings.max_count}
    judge = {} if service.judging is None else service.judging.about()
    if judge_fails:
        judge["error"] = CANNOT_JUDGE
    return msgspec.json.encode(about | ({"judge": judge} if judge else {}))


def create_app() -> Starlette:
    """The application. Set ``app.state.service`` to an ``ImageService`` before the first request."""
    return Starlette(
        routes=[
            Route("/generate", generate, methods=["POST"]),
            Route("/judge", judge, methods=["POST"]),
            *addresses.routes(),
            Route("/model", model),
            Route("/", page),
            Route("/page/{version}/{file}", page_file, middleware=[Middleware(GZipMiddleware)]),
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
