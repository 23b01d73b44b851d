"""The time and the bytes of encoding an image as PNG."""

import functools
import io
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.report import interleaved, seconds
from drawwell.engine.engine import Engine
from drawwell.formats.png import to_pngs

IMAGES = 64


def measure(exact: Engine, int8: Engine) -> dict[str, Any]:
    """Return the time of encoding on one thread, of drawing on one thread, and of Pillow, and the bytes of each encoder."""
    images = exact.generate(7, IMAGES).images
    encoders: dict[str, Callable[[], list[bytes]]] = {
        "to_pngs": lambda: to_pngs(images),
        "pillow_level_1": lambda: [by_pillow(image, 1) for image in images],
        "pillow_level_6": lambda: [by_pillow(image, 6) for image in images],
    }
    generators = {engine.card.target: Engine(engine._path, "cpu", threads=1) for engine in (exact, int8)}
    cases: dict[str, Callable[[], Any]] = {**encoders}
    cases |= {f"generation_{name}": functools.partial(one.generate, 7, IMAGES) for name, one in generators.items()}
    timed = interleaved({name: functools.partial(microseconds_an_image, call) for name, call in cases.items()}, 9)
    return {"microseconds_an_image": timed} | {
        "bytes": {name: statistics.mean(map(len, encode())) for name, encode in encoders.items()}
    }


def microseconds_an_image(call: Callable[[], Any]) -> float:
    return seconds(call, 5) / IMAGES * 1e6


def by_pillow(image: np.ndarray, level: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(stream, "PNG", compress_level=level)
    return stream.getvalue()
