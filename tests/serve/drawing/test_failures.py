"""What a client sees when drawing fails. The application is asked directly, since a real device cannot be made to fail."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from drawwell.engine.backends import CpuBackend
from drawwell.errors import DeviceMemoryError, ProviderError
from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.http.app import create_app
from drawwell_serve.settings import Settings

FORMATS = ["application/json", "image/png", "application/x-npy"]


@pytest.fixture
def app(tiny_generator: Path) -> Iterator[Starlette]:
    app = create_app()
    app.state.service = ImageService(Settings(str(tiny_generator)))
    yield app
    app.state.service.close()


def ask(app: Starlette, accept: str) -> httpx.Response:
    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post("/generate", json={"seed": 7, "count": 50}, headers={"Accept": accept})

    return asyncio.run(post())


@pytest.mark.parametrize("accept", FORMATS)
def test_a_full_device_is_a_503_and_the_next_request_is_answered(
    app: Starlette, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DeviceMemoryError("the memory of cuda is full: the same request may do later (CUDA failure 2)")

    with monkeypatch.context() as patch:
        patch.setattr(CpuBackend, "run", full)
        reply = ask(app, accept)
    assert reply.status_code == 503
    assert int(reply.headers["Retry-After"]) > 0
    assert reply.json() == {
        "error": {"code": "out_of_memory", "message": "the device has no free memory now: send the request again later"}
    }
    assert ask(app, accept).status_code == 200


@pytest.mark.parametrize("accept", FORMATS)
def test_another_failure_is_a_500_that_says_nothing_of_us(
    app: Starlette, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ProviderError("drawing failed on cuda (cuDNN, /secret/path)")

    monkeypatch.setattr(CpuBackend, "run", fail)
    reply = ask(app, accept)
    assert reply.status_code == 500
    assert reply.json() == {
        "error": {"code": "internal", "message": "the server failed to answer this request; its log says why"}
    }


def test_it_is_not_ready_from_a_failure_until_the_known_answers_are_right(
    app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ProviderError("drawing failed on cuda (cuDNN)")

    def is_ready() -> bool:
        async def get() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
                return await client.get("/readyz")

        answer = asyncio.run(get())
        assert answer.status_code == 200 or (answer.status_code, int(answer.headers["Retry-After"])) > (503, 0)
        return answer.status_code == 200

    assert is_ready()
    with monkeypatch.context() as patch:
        patch.setattr(CpuBackend, "run", fail)
        ask(app, "application/x-npy")
        assert not is_ready()
        assert not is_ready()
    assert is_ready()
