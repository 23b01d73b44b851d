"""``AsyncClient`` with the calls of ``Client``, so that one test holds for both."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import drawwell
from drawwell.generator import ImageGenerator

Result = TypeVar("Result")


class AsyncAsClient(ImageGenerator):
    """An ``AsyncClient`` in an event loop of its own, in a thread of its own."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._run(drawwell.AsyncClient(*arguments, **named))

    def _run(self, client: drawwell.AsyncClient) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self._wait(self._client.open())
        except BaseException:
            self._stop()
            raise

    @property
    def card(self) -> drawwell.ModelCard:
        return self._client.card

    @property
    def digest(self) -> str:
        return self._client.digest

    def generate(self, *arguments: Any, **named: Any) -> drawwell.Batch:
        if self._loop.is_closed():
            return asyncio.run(self._client.generate(*arguments, **named))
        return self._wait(self._client.generate(*arguments, **named))

    def interpolate(self, *arguments: Any, **named: Any) -> drawwell.Batch:
        return self._wait(self._client.interpolate(*arguments, **named))

    def close(self) -> None:
        if not self._loop.is_closed():
            self._wait(self._client.close())
            self._stop()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, self._client.__reduce__()

    def _wait(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def _reopen(make: Callable[..., drawwell.AsyncClient], arguments: tuple[Any, ...]) -> AsyncAsClient:
    client = AsyncAsClient.__new__(AsyncAsClient)
    client._run(make(*arguments))
    return client
