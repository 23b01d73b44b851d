"""The pages over HTTP. Only GET; nothing that a browser sends changes anything.

Whatever touches files runs in threads: plain functions as routes, and ``asyncio.to_thread`` for events.
"""

from collections.abc import Callable, Collection, Sequence
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
from drawwell_train.watch.events import events
from drawwell_train.watch.found_runs import FoundRuns
from drawwell_train.watch.guard import Guard
from drawwell_train.watch.row import MOST_STEP
from drawwell_train.watch.watched_run import WatchedRun

_FRESH = {"Cache-Control": "no-store"}
_IMMUTABLE = {"Cache-Control": "private, max-age=86400, immutable"}
"""Of a sheet: its URL changes when training may write it again."""


def create_app(runs: FoundRuns, names: Collection[str], stopping: Callable[[], bool] = lambda: False) -> Starlette:
    """Return the application that shows ``runs``.

    Args:
        runs: where they are found.
        names: the host names that a browser may call the server by, besides IP addresses and ``localhost``.
        stopping: says when requests for events must end.
    """

    def index(_: Request) -> Response:
        found = [run.snapshot() for run in runs.all()]
        return HTMLResponse(pages.list_page(found, printable(runs.root)), headers=_FRESH)

    def one(request: Request) -> Response:
        run = _known(runs, request.path_params["id"])
        others = {other.id: other.name for other in runs.all() if other.id != run.id}
        return HTMLResponse(pages.run_page([run.snapshot()], others), headers=_FRESH)

    def two(request: Request) -> Response:
        ids = request.query_params.getlist("run")
        if len(ids) != 2 or ids[0] == ids[1]:
            raise HTTPException(400, f"Choose two runs to compare, not {len(set(ids))}.")
        return HTMLResponse(pages.run_page([run.snapshot() for run in _chosen(runs, request)], {}), headers=_FRESH)

    def sheet(request: Request) -> Response:
        run, step = _known(runs, request.path_params["id"]), request.path_params["step"]
        png = run.sheet(step) if step < MOST_STEP else None
        if png is None:
            raise HTTPException(404, "There is no such sample sheet, or it cannot be read.")
        return Response(png, media_type="image/png", headers=_IMMUTABLE)

    def live(request: Request) -> Response:
        sent = events(runs, _chosen(runs, request), stopping)
        return StreamingResponse(sent, media_type="text/event-stream", headers=_FRESH)

    routes = [
        Route("/", index),
        Route("/compare", two),
        Route("/events", live),
        Route("/runs/{id}", one),
        Route("/runs/{id}/sheets/{step:int}", sheet),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    guard = Middleware(Guard, names=names)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: _refused})


def _chosen(runs: FoundRuns, request: Request) -> Sequence[WatchedRun]:
    return [_known(runs, run_id) for run_id in request.query_params.getlist("run")[:2]]


def _known(runs: FoundRuns, run_id: str) -> WatchedRun:
    run = runs.get(run_id)
    if run is None:
        raise HTTPException(404, "There is no such run here, or no longer.")
    return run


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "the only kind that it is registered for"
    title = "Not found" if error.status_code == 404 else "This cannot be shown"
    return HTMLResponse(pages.message(title, error.detail), error.status_code, headers=_FRESH)
