"""The forms of a reply with images. Each is listed once, in ``FORMS``."""

import asyncio
import base64
import functools
import hashlib
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from drawwell import wire
from drawwell.archives import Archive, Chunk, Tar, Zip
from drawwell.naming import files_of
from drawwell.pictures import Images, contact_sheet, to_png, to_pngs

from .drawing import Addressed, Drawing
from .errors import ApiError
from .scheduler import Flow
from .well import ClientGoneError, Well

MAX_PICTURES = 256
"""In one JSON reply or on one sheet, which are made whole in memory, for people."""

Result = TypeVar("Result")
Chunks = AsyncGenerator[bytes, None]


@dataclass(frozen=True)
class Form:
    """One media type.

    ``whole`` makes the body of all images at once, on another thread than the event loop's; ``stream`` makes one that is
    too long for that, and is None for a form of few images. ``length`` is a stream's, in bytes, where it is known.
    ``check`` raises ``ApiError`` for a drawing that the form cannot hold.
    """

    media_type: str
    whole: Callable[[Well, Drawing, Images], bytes]
    stream: Callable[[Well, Drawing, Flow], Chunks] | None = None
    check: Callable[[Drawing], None] = lambda _: None
    length: Callable[[Well, Drawing], int | None] = lambda *_: None


class ImagesReply(Response):
    """Draws while it is sent: admitted when it is about to begin, its place given back when it ends or breaks off."""

    def __init__(self, well: Well, drawing: Drawing, form: Form, headers: Mapping[str, str] | None = None) -> None:
        form.check(drawing)
        self._well, self._drawing, self._form = well, drawing, form
        self._named = {"content-type": form.media_type} | well.headers(drawing) | dict(headers or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the body was read
        gone = scope.get("extensions", {}).get("drawwell", {}).get("gone", lambda: False)
        whole = self._form.stream is None or len(self._drawing) <= self._well.scheduler.piece_images
        with self._well.admitted(gone, len(self._drawing), whole) as flow, suppress(ClientGoneError):
            if whole:
                body = await self._in_time(self._whole(flow))
                self._well.let_go(flow)
                await self._start(send, len(body))
                await send({"type": "http.response.body", "body": body})
            else:
                assert self._form.stream is not None
                await self._stream(self._form.stream(self._well, self._drawing, flow), send)

    async def _whole(self, flow: Flow) -> bytes:
        well, drawing, whole = self._well, self._drawing, self._form.whole
        if len(drawing) <= well.scheduler.piece_images:
            return await well.draw(drawing, flow, lambda images: whole(well, drawing, images))
        async with aclosing(well.stream(drawing, flow, lambda images, _: images)) as pieces:
            images = np.concatenate([piece async for piece in pieces])
        return await asyncio.to_thread(whole, well, drawing, images)

    async def _stream(self, chunks: Chunks, send: Send) -> None:
        async with aclosing(chunks):
            chunk: bytes | None = await self._in_time(anext(chunks))
            await self._start(send, self._form.length(self._well, self._drawing))
            while chunk is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await anext(chunks, None)
            await send({"type": "http.response.body"})

    async def _in_time(self, begun: Awaitable[Result]) -> Result:
        """What the reply begins with, while a refusal can still have its status."""
        deadline = self._well.settings.deadline_seconds
        try:
            async with asyncio.timeout(deadline):
                return await begun
        except TimeoutError:
            late = f"too many others are waiting: no reply began within {deadline:g} seconds"
            raise ApiError(503, "deadline", late, headers=self._well.retry_after()) from None

    async def _start(self, send: Send, length: int | None) -> None:
        headers = self._named if length is None else self._named | {"content-length": str(length)}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})


def _json(well: Well, drawing: Drawing, images: Images) -> bytes:
    """The images as base64 PNGs with their addresses and labels."""
    seed, indices = (
        ({"seed": drawing.seed}, drawing.indices) if isinstance(drawing, Addressed) else ({}, range(len(images)))
    )
    labels = drawing.labels_of(well.engine.card, 0, len(images))
    named = [{}] * len(images) if labels is None else [{"label": label} for label in labels.tolist()]
    listed = [
        {"index": int(index), **label, "png": base64.b64encode(png).decode()}
        for index, label, png in zip(indices, named, to_pngs(images), strict=True)
    ]
    return msgspec.json.encode({"digest": well.engine.digest, **seed, "count": len(listed), "images": listed})


def _png(_: Well, __: Drawing, images: Images) -> bytes:
    """The one image, or a contact sheet of all."""
    return to_png(images[0] if len(images) == 1 else contact_sheet(images))


def _npy(_: Well, __: Drawing, images: Images) -> bytes:
    """uint8 ``[N, H, W, C]`` and the checksum."""
    pixels = images.tobytes()
    return b"".join((wire.npy_header(images.shape), pixels, wire.footer(hashlib.sha256(pixels).digest())))


async def _npy_stream(well: Well, drawing: Drawing, flow: Flow) -> Chunks:
    """The same as it is drawn."""
    pixels_sha256, header = hashlib.sha256(), wire.npy_header(_npy_shape(well, drawing))
    async with aclosing(well.stream(drawing, flow, lambda images, _: images.tobytes())) as pieces:
        async for pixels in pieces:
            pixels_sha256.update(pixels)  # in order, so not where pieces are drawn side by side
            yield header + pixels
            header = b""
    yield wire.footer(pixels_sha256.digest())


def _npy_length(well: Well, drawing: Drawing) -> int:
    shape = _npy_shape(well, drawing)
    return len(wire.npy_header(shape)) + math.prod(shape) + wire.FOOTER_BYTES


def _npy_shape(well: Well, drawing: Drawing) -> tuple[int, ...]:
    return (len(drawing), *well.engine.card.image_shape)


def _archive(kind: type[Archive]) -> Form:
    """PNGs named by address, and the record at their end."""

    def encoded(well: Well, drawing: Drawing, images: Images, first: int) -> Chunk:
        assert isinstance(drawing, Addressed), "it was checked"
        last = first + len(images)
        labels = drawing.labels_of(well.engine.card, first, last)
        return kind.chunk(
            files_of(drawing.seed, drawing.indices[first:last], images, labels, drawing.labels is not None)
        )

    def whole(well: Well, drawing: Drawing, images: Images) -> bytes:
        assert isinstance(drawing, Addressed), "it was checked"
        archive = kind()
        return b"".join([archive.append(encoded(well, drawing, images, 0)), *archive.end(drawing.facts(well.engine))])

    async def stream(well: Well, drawing: Drawing, flow: Flow) -> Chunks:
        assert isinstance(drawing, Addressed), "it was checked"
        archive = kind()
        then = functools.partial(encoded, well, drawing)
        async with aclosing(well.stream(drawing, flow, then)) as pieces:
            async for chunk in pieces:
                yield archive.append(chunk)
        for rest in archive.end(drawing.facts(well.engine)):
            yield rest

    return Form(kind.media_type, whole, stream, _check_addressed)


def _check_few(drawing: Drawing) -> None:
    if len(drawing) > MAX_PICTURES:
        others = ", ".join(media_type for media_type, form in FORMS.items() if form.stream is not None)
        field = "indices" if isinstance(drawing, Addressed) and not isinstance(drawing.indices, range) else "count"
        message = (
            f"JSON and PNG hold at most {MAX_PICTURES} images, {len(drawing):,} were asked for: send Accept: {others}"
        )
        raise ApiError(400, "too_many_for_this_form", message, field)


def _check_addressed(drawing: Drawing) -> None:
    if not isinstance(drawing, Addressed) or drawing.truncation != 1:
        message = f"an archive names its images by address, and these are others: send Accept: {wire.NPY_TYPE}"
        raise ApiError(400, "no_address", message)


FORMS: dict[str, Form] = {
    form.media_type: form
    for form in (
        Form("application/json", _json, check=_check_few),
        Form("image/png", _png, check=_check_few),
        Form(wire.NPY_TYPE, _npy, _npy_stream, length=_npy_length),
        _archive(Zip),
        _archive(Tar),
    )
}
"""By media type; the first is the default."""
