"""The engine behind the event loop: drawn and encoded on the engine's threads, piece by piece."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import numpy as np

from drawwell import wire
from drawwell.batch import pieces
from drawwell.engine import Engine
from drawwell.pictures import Images

from .requests import Drawing
from .settings import Settings

Result = TypeVar("Result")


class Well:
    """Draws for many requests at once. Pieces are taken in the order they come, so requests of any length share the engine."""

    def __init__(self, settings: Settings) -> None:
        self.engine = Engine(settings.generator, settings.provider, settings.threads)
        self.max_count = settings.max_count
        self.fingerprint = self.engine.fingerprint

    async def stream(self, drawing: Drawing, then: Callable[[Images], Result]) -> AsyncIterator[Result]:
        """Yield what ``then`` makes of each piece, uint8 ``[n, H, W, C]``, in order.

        One piece for each of the engine's threads is drawn ahead, and no more until one was taken: memory stays bounded.
        """
        ahead: deque[asyncio.Future[Result]] = deque()
        try:
            for piece in pieces(drawing.indices, self.engine.piece_images):
                ahead.append(asyncio.wrap_future(self.engine.submit(drawing.seed, piece, then)))
                if len(ahead) > self.engine.threads:
                    yield await ahead.popleft()
            while ahead:
                yield await ahead.popleft()
        finally:
            for future in ahead:
                future.cancel()

    async def draw(self, drawing: Drawing) -> Images:
        """Draw all images of a small request: uint8 ``[n, H, W, C]``."""
        return np.concatenate([images async for images in self.stream(drawing, lambda images: images)])

    def headers(self, drawing: Drawing) -> dict[str, str]:
        """What every reply with images says of them."""
        return wire.about(drawing.seed, drawing.indices) | {
            wire.DIGEST: self.engine.digest,
            wire.PROVIDER: self.engine.provider,
            wire.FINGERPRINT: self.fingerprint,
        }

    def close(self) -> None:
        self.engine.close()
