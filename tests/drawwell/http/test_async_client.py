"""What only ``AsyncClient`` has: tasks, cancellation, event loops, and a fork below one."""

import asyncio
import multiprocessing
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import pytest

import drawwell
from drawwell.errors import RequestError
from drawwell.http.exchange import REQUEST_IMAGES
from tests.scripted import DIGEST, Handler, Scripted, body_of, headers_of, pixels, right, serving

SECONDS = 60
"""Of anything here, on a busy machine."""
FORK = multiprocessing.get_context("fork")

_client: drawwell.AsyncClient


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as scripted:
        yield scripted


class Stalled:
    """Replies that stop in the middle, and whether the client hung up."""

    def __init__(self) -> None:
        self.begun, self.hung_up = threading.Event(), threading.Event()

    def __call__(self, handler: Handler, asked: dict[str, Any]) -> None:
        body = body_of(pixels(asked))
        handler.reply(200, body[:50], headers_of(asked), len(body))
        handler.close_connection = True
        handler.connection.settimeout(SECONDS)
        self.begun.set()
        if handler.connection.recv(1) == b"":
            self.hung_up.set()


def test_many_tasks_draw_at_once(server: Scripted) -> None:
    async def draw() -> list[list[int]]:
        async with drawwell.AsyncClient(server.url) as client:
            assert client.digest == DIGEST
            batches = await asyncio.gather(*(client.generate(7, 2, start=start) for start in range(20)))
            return [batch.images[:, 0, 0, 0].tolist() for batch in batches]

    assert asyncio.run(draw()) == [[start, start + 1] for start in range(20)]


@pytest.mark.parametrize("is_ahead", [False, True])
def test_a_call_that_is_cancelled_leaves_no_connection(server: Scripted, is_ahead: bool) -> None:
    """Of the request that it reads, and of the one that it sent ahead."""
    stalled = Stalled()

    async def cancel() -> list[int]:
        async with drawwell.AsyncClient(server.url) as client:
            server.script = [right, stalled] if is_ahead else [stalled]
            task = asyncio.create_task(client.generate(7, REQUEST_IMAGES + 1))
            await asyncio.to_thread(stalled.begun.wait, SECONDS)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(stalled.hung_up.wait, SECONDS), "the connection is open"
            server.script = [right]
            images: list[int] = (await client.generate(7, 2)).images[:, 0, 0, 0].tolist()
            return images

    assert asyncio.run(cancel()) == [0, 1]


def test_a_timeout_of_the_caller_ends_a_call(server: Scripted) -> None:
    stalled = Stalled()
    server.script = [stalled]

    async def draw() -> None:
        async with drawwell.AsyncClient(server.url) as client:
            async with asyncio.timeout(0.3):
                await client.generate(7, 1)

    with pytest.raises(TimeoutError):
        asyncio.run(draw())
    assert stalled.hung_up.wait(SECONDS)


def test_an_event_loop_goes_on_while_a_call_waits(server: Scripted) -> None:
    hold = threading.Event()

    def held(handler: Handler, asked: dict[str, Any]) -> None:
        hold.wait(SECONDS)
        right(handler, asked)

    async def draw() -> int:
        async with drawwell.AsyncClient(server.url) as client:
            server.script = [held]
            task = asyncio.create_task(client.generate(7, 3))
            for _ in range(10):
                await asyncio.sleep(0.01)
            hold.set()
            return len(await task)

    assert asyncio.run(draw()) == 3


def test_replies_that_are_hashed_in_a_thread_are_the_same_images(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawwell.http.async_connections._THREAD_BYTES", 0)

    async def draw() -> drawwell.Batch:
        async with drawwell.AsyncClient(server.url) as client:
            return await client.generate(7, REQUEST_IMAGES * 2)

    np.testing.assert_array_equal(
        asyncio.run(draw()).images[:, 0, 0, 0], (np.arange(REQUEST_IMAGES * 2) % 256).astype(np.uint8)
    )


def test_a_client_that_is_not_open_says_so() -> None:
    client = drawwell.AsyncClient("http://127.0.0.1:9")
    for use in (lambda: client.card, lambda: client.digest, lambda: asyncio.run(client.generate(7, 1))):
        with pytest.raises(RequestError, match="not open yet: use it in `async with`"):
            use()


def test_a_client_of_another_event_loop_says_so(server: Scripted) -> None:
    client = drawwell.AsyncClient(server.url)
    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(client.open())
        with pytest.raises(RequestError, match="opened in another event loop: open one in each event loop"):
            asyncio.run(client.generate(7, 1))
        assert len(loop.run_until_complete(client.generate(7, 3))) == 3
        loop.run_until_complete(client.close())


def test_a_client_travels_as_its_url_and_its_generator(server: Scripted) -> None:
    async def draw() -> list[int]:
        async with drawwell.AsyncClient(server.url) as client:
            pickled = pickle.dumps(client)
        async with pickle.loads(pickled) as travelled:
            assert travelled.digest == DIGEST
            images: list[int] = (await travelled.generate(7, 2)).images[:, 0, 0, 0].tolist()
            return images

    assert asyncio.run(draw()) == [0, 1]


def draw_forked(start: int) -> bytes:
    """In a forked process, from the client that it found, in an event loop of its own."""

    async def draw() -> bytes:
        return (await _client.generate(7, 2, start=start)).images.tobytes()

    return asyncio.run(draw())


def test_a_forked_process_draws_on_connections_of_its_own(server: Scripted) -> None:
    async def draw() -> tuple[bytes, bytes, int, int]:
        global _client
        async with drawwell.AsyncClient(server.url) as _client:
            ours = (await _client.generate(7, 2)).images.tobytes()
            before = server.connections
            with ProcessPoolExecutor(1, mp_context=FORK) as pool:
                theirs = await asyncio.get_running_loop().run_in_executor(pool, draw_forked, 0)
            forked = server.connections - before
            await _client.generate(7, 2)
            return ours, theirs, forked, server.connections - before

    ours, theirs, forked, after = asyncio.run(draw())
    assert ours == theirs
    assert (forked, after) == (1, 1), "the parent's connection is its own, and still open"


def test_an_error_comes_back_from_a_pool(server: Scripted) -> None:
    async def draw() -> None:
        global _client
        async with drawwell.AsyncClient(server.url, retry_for=0) as _client:
            server.script = [lambda handler, _: handler.reply(503, b'{"error": {"message": "because"}}')]
            with ProcessPoolExecutor(1, mp_context=FORK) as pool:
                await asyncio.get_running_loop().run_in_executor(pool, draw_forked, 0)

    with pytest.raises(drawwell.UnavailableError, match="answered 503: because"):
        asyncio.run(draw())
