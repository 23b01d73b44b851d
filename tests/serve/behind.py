"""What a server answers, without its process: the application behind its middleware."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx

from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.http.app import create_app
from drawwell_serve.http.hosts import names_of
from drawwell_serve.http.middleware import Middleware
from drawwell_serve.settings import Settings

Ask = Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]


def asked(file: Path, ask: Ask, listens_to: str = "127.0.0.1", **settings: Any) -> Any:
    """What ``ask`` returns, which is given a client of such a server; DRAWWELL_KEY is read as ever."""
    chosen = Settings(str(file), threads=1, **settings)
    app = create_app()
    app.state.service = service = ImageService(chosen)
    middleware = Middleware(app, app, chosen.key(), None, names_of(chosen, listens_to), chosen.cors_origins)

    async def all_of_it() -> Any:
        transport = httpx.ASGITransport(middleware, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await ask(http)

    try:
        return asyncio.run(all_of_it())
    finally:
        service.close()
