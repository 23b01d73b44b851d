"""The forms of a reply with images. Each is listed once, in ``FORMS``."""

import asyncio
import base64
import hashlib
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass

import msgspec
import numpy as np
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from drawwell import wire
from drawwell.archives import Archive, Chunk, Tar, Zip
from drawwell.batch import labels_of
from drawwell.naming import files_of
from drawwell.pictures import Images, contact_sheet, to_png, to_pngs

from .drawing import Addressed, Drawing
from .errors import RETRY_SECONDS, ApiError
from .scheduler import Flow
from .well import ClientGoneError, Well

MAX_PICTURES = 256
"""In one JSON reply or on one sheet: beyond it, PNGs cost more than the images."""

Chunks = AsyncGenerator[bytes, None]


@dataclass(frozen=True)
class Form:
    """One media type. ``check`` raises ``ApiError`` for a drawing that it cannot hold; ``length`` is in bytes, where it is known."""

    media_type: str
    chunks: Callable[[Well, Drawing, Flow], Chunks]
    check: Callable[[Drawing], None] = lambda _: None
    length: Callable[[Well, Drawing], int | None] = lambda *_: None


class ImagesReply(Response):
    """Draws while it is sent: admitted when it is about to begin, its place given back when it ends or breaks off."""

    def __init__(self, well: Well, drawing: Drawing, form: Form, headers: Mapping[str, str] | None = None) -> None:
        form.check(drawing)
        super().__init__(media_type=form.media_type, headers=well.headers(drawing) | dict(headers or {}))
        del self.headers["content-length"]
        self._well, self._drawing, self._form = well, drawing, form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the body was read
        gone = scope.get("extensions", {}).get("drawwell", {}).get("gone", lambda: False)
        with self._well.admitted(gone) as flow, suppress(ClientGoneError):
            async with aclosing(self._form.chunks(self._well, self._drawing, flow)) as chunks:
                chunk, following = await self._begin(chunks)
                length = len(chunk) if following is None else self._form.length(self._well, self._drawing)
                if length is not None:
                    self.headers["content-length"] = str(length)
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                while following is not None:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    chunk, following = following, await anext(chunks, None)
                await send({"type": "http.response.body", "body": chunk})

    async def _begin(self, chunks: Chunks) -> tuple[bytes, bytes | None]:
        """The first two chunks, or the only one, while a refusal can still have its status."""
        deadline = self._well.settings.deadline_seconds
        try:
            async with asyncio.timeout(deadline):
                return await anext(chunks), await anext(chunks, None)
        except TimeoutError:
            late = f"too many others are waiting: no reply began within {deadline:g} seconds"
            raise ApiError(503, "deadline", late, headers={"Retry-After": str(RETRY_SECONDS)}) from None


async def _json(well: Well, drawing: Drawing, flow: Flow) -> Chunks:
    """The images as base64 PNGs with their addresses."""
    pieces = [piece async for piece in well.stream(drawing, flow, lambda images, _: _base64_pngs(images))]
    pngs = [png for piece in pieces for png in piece]
    seed, indices = (
        ({"seed": drawing.seed}, drawing.indices) if isinstance(drawing, Addressed) else ({}, range(len(pngs)))
    )
    listed = [{"index": int(index), "png": png} for index, png in zip(indices, pngs, strict=True)]
    yield msgspec.json.encode({"digest": well.engine.digest, **seed, "count": len(listed), "images": listed})


async def _png(well: Well, drawing: Drawing, flow: Flow) -> Chunks:
    """The one image, or a contact sheet of all."""
    pieces = [piece async for piece in well.stream(drawing, flow, lambda images, _: images)]
    images = np.concatenate(pieces)
    yield await asyncio.to_thread(lambda: to_png(images[0] if len(images) == 1 else contact_sheet(images)))


async def _npy(well: Well, drawing: Drawing, flow: Flow) -> Chunks:
    """uint8 ``[N, H, W, C]`` as it is drawn, with the checksum at its end."""
    pixels_sha256, before = hashlib.sha256(), wire.npy_header((len(drawing), *well.engine.card.image_shape))
    async with aclosing(well.stream(drawing, flow, lambda images, _: images.tobytes())) as pieces:
        last = await anext(pieces)
        async for pixels in pieces:
            pixels_sha256.update(last)  # in order, so not where pieces are drawn side by side
            yield before + last
            before, last = b"", pixels
    pixels_sha256.update(last)
    yield b"".join((before, last, wire.footer(pixels_sha256.digest())))


def _npy_length(well: Well, drawing: Drawing) -> int:
    shape = (len(drawing), *well.engine.card.image_shape)
    return len(wire.npy_header(shape)) + math.prod(shape) + wire.FOOTER_BYTES


def _archived(kind: type[Archive]) -> Callable[[Well, Drawing, Flow], Chunks]:
    async def chunks(well: Well, drawing: Drawing, flow: Flow) -> Chunks:
        assert isinstance(drawing, Addressed), "it was checked"

        def encoded(images: Images, first: int) -> Chunk:
            indices = drawing.indices[first : first + len(images)]
            labels = labels_of(well.engine.card, drawing.seed, indices)
            return kind.chunk(files_of(drawing.seed, indices, images, labels))

        archive = kind()
        async with aclosing(well.stream(drawing, flow, encoded)) as pieces:
            async for chunk in pieces:
                yield archive.append(chunk)
        for rest in archive.end(drawing.facts(well.engine)):
            yield rest

    return chunks


def _base64_pngs(images: Images) -> list[str]:
    return [base64.b64encode(png).decode() for png in to_pngs(images)]


def _check_few(drawing: Drawing) -> None:
    if len(drawing) > MAX_PICTURES:
        others = ", ".join(media_type for media_type, form in FORMS.items() if form.check is not _check_few)
        message = (
            f"JSON and PNG hold at most {MAX_PICTURES} images, {len(drawing):,} were asked for: send Accept: {others}"
        )
        field = "indices" if isinstance(drawing, Addressed) and not isinstance(drawing.indices, range) else "count"
        raise ApiError(400, "too_many_for_this_form", message, field)


def _check_addressed(drawing: Drawing) -> None:
    if not isinstance(drawing, Addressed):
        message = f"an archive names its images by address, and these have none: send Accept: {wire.NPY_TYPE}"
        raise ApiError(400, "no_address", message)


FORMS: dict[str, Form] = {
    form.media_type: form
    for form in (
        Form("application/json", _json, _check_few),
        Form("image/png", _png, _check_few),
        Form(wire.NPY_TYPE, _npy, length=_npy_length),
        Form(Zip.media_type, _archived(Zip), _check_addressed),
        Form(Tar.media_type, _archived(Tar), _check_addressed),
    )
}
"""By media type; the first is the default."""
