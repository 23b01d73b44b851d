"""The pages over HTTP. Only GET; nothing that a browser sends changes anything."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from drawwell.text import printable
from drawwell_train.watch import pages
from drawwell_train.watch.elements import to_html
from drawwell_train.watch.found_runs import FoundRuns
from drawwell_train.watch.guard import Guard
from drawwell_train.watch.watched_run import Snapshot, WatchedRun

_LOOK_SECONDS = 1
"""Between two looks at the files. A new line is shown within two seconds."""
_MOST_STEP = 10**12
_FRESH = {"Cache-Control": "no-store"}
_IMMUTABLE = {"Cache-Control": "private, max-age=86400, immutable"}
"""Of a sheet: its URL changes when training may write it again."""


def create_app(runs: FoundRuns, is_loopback: bool = True, stopping: Callable[[], bool] = lambda: False) -> Starlette:
    """Return the application that shows ``runs``.

    Args:
        runs: where they are found.
        is_loopback: whether only this machine reaches the server.
        stopping: says when requests for events must end.
    """

    async def index(_: Request) -> Response:
        return HTMLResponse(await asyncio.to_thread(_page, runs, []), headers=_FRESH)

    async def one(request: Request) -> Response:
        chosen = [_known(runs, request.path_params["id"])]
        return HTMLResponse(await asyncio.to_thread(_page, runs, chosen), headers=_FRESH)

    async def two(request: Request) -> Response:
        ids = request.query_params.getlist("run")
        if len(ids) != 2 or ids[0] == ids[1]:
            raise HTTPException(400, f"Choose two runs to compare, not {len(set(ids))}.")
        chosen = [_known(runs, run_id) for run_id in ids]
        return HTMLResponse(await asyncio.to_thread(_page, runs, chosen), headers=_FRESH)

    async def sheet(request: Request) -> Response:
        run, step = _known(runs, request.path_params["id"]), request.path_params["step"]
        png = await asyncio.to_thread(run.sheet, step) if step < _MOST_STEP else None
        if png is None:
            raise HTTPException(404, "There is no such sample sheet, or it cannot be read.")
        return Response(png, media_type="image/png", headers=_IMMUTABLE)

    async def events(request: Request) -> Response:
        chosen = [_known(runs, run_id) for run_id in request.query_params.getlist("run")[:2]]
        return StreamingResponse(_events(runs, chosen, stopping), media_type="text/event-stream", headers=_FRESH)

    routes = [
        Route("/", index),
        Route("/compare", two),
        Route("/events", events),
        Route("/runs/{id}", one),
        Route("/runs/{id}/sheets/{step:int}", sheet),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    guard = Middleware(Guard, is_loopback=is_loopback)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: _refused})


def _page(runs: FoundRuns, chosen: Sequence[WatchedRun]) -> str:
    shown = [run.snapshot() for run in chosen]
    return pages.page(_all(runs, chosen), shown, printable(runs.root))


def _all(runs: FoundRuns, chosen: Sequence[WatchedRun]) -> list[Snapshot]:
    """All runs for the list and for the choice of a second one; none beside two that are compared."""
    return [run.snapshot() for run in runs.all()] if len(chosen) < 2 else []


async def _events(runs: FoundRuns, chosen: Sequence[WatchedRun], stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Server-sent events: a JSON object of the sections that have changed, by id, as HTML."""
    sent: dict[str, str] = {}
    seen: list[Snapshot] = []
    while not stopping():
        now = await asyncio.to_thread(lambda: [run.snapshot() for run in chosen or runs.all()])
        changed: dict[str, str] = {}
        if len(now) != len(seen) or any(one is not other for one, other in zip(now, seen, strict=True)) or not sent:
            made = await asyncio.to_thread(_html, now, bool(chosen))
            changed = {name: html for name, html in made.items() if sent.get(name) != html}
            sent, seen = made, now
        # a comment keeps the connection alive, and finds out that nobody reads any more
        yield f"data: {json.dumps(changed)}\n\n" if changed else ": nothing new\n\n"
        await asyncio.sleep(_LOOK_SECONDS)


def _html(now: Sequence[Snapshot], is_chosen: bool) -> dict[str, str]:
    made = pages.sections([], now) if is_chosen else pages.sections(now, [])
    return {name: to_html(tree) for name, tree in made.items()}


def _known(runs: FoundRuns, run_id: str) -> WatchedRun:
    run = runs.get(run_id)
    if run is None:
        raise HTTPException(404, "There is no such run here, or no longer.")
    return run


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "the only kind that it is registered for"
    title = "Not found" if error.status_code == 404 else "This cannot be shown"
    return HTMLResponse(pages.message(title, error.detail), error.status_code, headers=_FRESH)
