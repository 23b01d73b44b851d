"""The page over HTTP: the page itself, the frames of the training, and commands to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from drawwell.errors import DrawwellError, RequestError
from drawwell.text import printable
from drawwell_train.play.options import CONTROLS
from drawwell_train.play.page import page
from drawwell_train.play.training import Training
from drawwell_train.watch.guard import Guard

_FRESH = {"Cache-Control": "no-store"}
_LOOK_SECONDS = 0.1
_SILENT_LOOKS = 10
_MOST_BYTES = 10_000
"""Of a command."""


def create_app(
    training: Training, images: str, names: Collection[str], stopping: Callable[[], bool] = lambda: False
) -> Starlette:
    """Return the application that plays with ``training``.

    Args:
        training: the one training.
        images: the name of its images.
        names: the host names that a browser may call the server by, besides IP addresses and ``localhost``.
        stopping: says when requests for frames must end.
    """

    def index(_: Request) -> Response:
        return HTMLResponse(page(images), headers=_FRESH)

    def frames(_: Request) -> Response:
        return StreamingResponse(_frames(training, stopping), media_type="text/event-stream", headers=_FRESH)

    async def command(request: Request) -> Response:
        _check_origin(request)
        given = await _json(request)
        try:
            await asyncio.to_thread(training.obey, given)
        except RequestError as error:
            raise HTTPException(400, _sentence(error)) from error
        except DrawwellError as error:
            raise HTTPException(503, _sentence(error)) from error
        return Response(status_code=204, headers=_FRESH)

    routes = [
        Route("/", index),
        Route("/frames", frames),
        Route("/command", command, methods=["POST"]),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static", packages=[_WATCH])),
    ]
    guard = Middleware(Guard, names=names)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: _refused})


_WATCH = "drawwell_train.watch", "static"
"""The style and the charts of the other page."""


async def _frames(training: Training, stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Server-sent events: each new frame, and ``ended`` where there will be none. Frames that come too fast are left out."""
    sent, looks = 0, 0
    while not stopping():
        told = training.told
        if told.frame and told.number != sent:
            yield f"data: {told.frame}\n\n"
            sent, looks = told.number, 0
        elif not looks % _SILENT_LOOKS:
            # a comment keeps the connection alive, and finds out that nobody reads any more
            yield ": nothing new\n\n" if training.alive else "event: ended\ndata:\n\n"
        looks += 1
        await asyncio.sleep(_LOOK_SECONDS)


def _check_origin(request: Request) -> None:
    """Only the page itself may command. Another port of this machine is the same site, but another origin."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none") or origin not in (None, f"http://{request.headers['host']}"):
        raise HTTPException(403, "A page of another origin sent this command.")
    if request.headers.get("content-type") != "application/json":
        raise HTTPException(415, "A command is JSON: send it as application/json.")


async def _json(request: Request) -> object:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, f"A command has at most {_MOST_BYTES:,} bytes.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "The command is no JSON.") from error


def _sentence(error: Exception) -> str:
    text = printable(error)
    for name, control in CONTROLS.items():
        if "_" in name:  # the others are words of the page already
            text = text.replace(name, control.label)
    return f"{text[:1].upper()}{text[1:]}."


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "the only kind that it is registered for"
    return PlainTextResponse(error.detail, error.status_code, headers=_FRESH)
