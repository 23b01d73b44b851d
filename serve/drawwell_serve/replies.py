"""The forms of a reply with images. Each takes a well and a drawing, and is listed once, in ``FORMS``."""

import asyncio
import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import numpy as np
from starlette.responses import Response, StreamingResponse

from drawwell import wire
from drawwell.pictures import Images, contact_sheet, to_png, to_pngs

from .errors import ApiError
from .requests import Drawing
from .well import Well

MAX_PICTURES = 256
"""In one JSON reply or on one sheet: beyond it, PNGs cost more than the images."""


async def as_json(well: Well, drawing: Drawing) -> Response:
    """The images as base64 PNGs with their addresses."""
    _check_few(drawing)
    pieces = [piece async for piece in well.stream(drawing, _base64_pngs)]
    listed = [
        {"index": int(index), "png": png}
        for index, png in zip(drawing.indices, itertools.chain.from_iterable(pieces), strict=True)
    ]
    body = {"digest": well.engine.digest, "seed": drawing.seed, "count": len(listed), "images": listed}
    return Response(msgspec.json.encode(body), media_type="application/json", headers=well.headers(drawing))


async def as_png(well: Well, drawing: Drawing) -> Response:
    """The one image, or a contact sheet of all."""
    _check_few(drawing)
    images = await well.draw(drawing)
    png = await asyncio.to_thread(lambda: to_png(images[0] if len(images) == 1 else contact_sheet(images)))
    return Response(png, media_type="image/png", headers=well.headers(drawing))


async def as_npy(well: Well, drawing: Drawing) -> Response:
    """uint8 ``[N, H, W, C]`` as it is drawn, with the checksum at its end."""
    shape = (len(drawing.indices), *well.engine.card.image_shape)
    header = wire.npy_header(shape)

    pixels_sha256 = hashlib.sha256()
    stream = well.stream(drawing, lambda images: images.tobytes())
    first = await anext(stream)  # while a refusal can still have its status

    async def body() -> AsyncIterator[bytes]:
        yield header
        pixels_sha256.update(first)
        yield first
        async for pixels in stream:
            pixels_sha256.update(pixels)  # in order, so not where pieces are drawn side by side
            yield pixels
        yield wire.footer(pixels_sha256.digest())

    length = len(header) + int(np.prod(shape)) + wire.FOOTER_BYTES
    return StreamingResponse(
        body(), media_type=wire.NPY_TYPE, headers=well.headers(drawing) | {"Content-Length": str(length)}
    )


FORMS: dict[str, Callable[[Well, Drawing], Awaitable[Response]]] = {
    "application/json": as_json,
    "image/png": as_png,
    wire.NPY_TYPE: as_npy,
}
"""By media type; the first is the default."""


def _base64_pngs(images: Images) -> list[str]:
    return [base64.b64encode(png).decode() for png in to_pngs(images)]


def _check_few(drawing: Drawing) -> None:
    if len(drawing.indices) > MAX_PICTURES:
        raise ApiError(
            400,
            "too_many_for_this_form",
            f"JSON and PNG hold at most {MAX_PICTURES} images, {len(drawing.indices):,} were asked for: send Accept: {wire.NPY_TYPE}",
            "count" if isinstance(drawing.indices, range) else "indices",
        )
