"""What a server answers, without its process: the application behind its middleware."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.http.app import create_app
from drawwell_serve.http.hosts import names_of
from drawwell_serve.http.middleware import Middleware
from drawwell_serve.settings import Settings
from tests.conftest import START_SECONDS, free_port

Ask = Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]


def asked(file: Path, ask: Ask, listens_to: str = "127.0.0.1", **settings: Any) -> Any:
    """What ``ask`` returns, which is given a client of such a server; DRAWWELL_KEY is read as ever."""
    service, middleware = _behind(file, listens_to, **settings)

    async def all_of_it() -> Any:
        transport = httpx.ASGITransport(middleware, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await ask(http)

    try:
        return asyncio.run(all_of_it())
    finally:
        service.close()


@contextmanager
def listening(file: Path | str, **settings: Any) -> Iterator[str]:
    """The URL of such a server, which listens on the loopback within the block; DRAWWELL_KEY is read as ever."""
    service, middleware = _behind(file, "127.0.0.1", **settings)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(middleware, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        service.close()


def _behind(file: Path | str, listens_to: str, **settings: Any) -> tuple[ImageService, Middleware]:
    chosen = Settings(str(file), **{"threads": 1, **settings})
    app = create_app()
    app.state.service = service = ImageService(chosen)
    return service, Middleware(app, app, chosen.key(), None, names_of(chosen, listens_to), chosen.cors_origins)
