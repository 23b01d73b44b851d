"""The engine behind the event loop: drawn and encoded on a thread of its own, piece by piece."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from drawwell import wire
from drawwell.batch import pieces
from drawwell.engine import PIECE_IMAGES, Engine
from drawwell.latents import CheckedIndices
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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="draw")  # a session uses all its threads for one run

    async def on_thread(self, call: Callable[[], Result]) -> Result:
        """Run ``call`` where images are drawn: nothing that takes long belongs on the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def stream(self, drawing: Drawing, encode: Callable[[Images], Result]) -> AsyncIterator[Result]:
        """Yield each piece, uint8 ``[n, H, W, C]``, encoded, the next only when the last was taken: memory stays bounded."""
        for piece in pieces(drawing.indices, PIECE_IMAGES):
            yield await self.on_thread(functools.partial(self._draw, drawing.seed, piece, encode))

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

    def _draw(self, seed: int, piece: CheckedIndices, encode: Callable[[Images], Result]) -> Result:
        return encode(self.engine.draw(seed, piece))

    def close(self) -> None:
        self._thread.shutdown()
        self.engine.close()
