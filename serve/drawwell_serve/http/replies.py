"""The forms of a reply with images. Each is listed once, in ``FORMS``."""

import asyncio
import base64
import functools
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from drawwell.formats.archives import Archive, Chunk, Tar, Zip
from drawwell.formats.names import files_of
from drawwell.formats.npy import NPY_TYPE, Npy
from drawwell.formats.png import contact_sheet, to_png, to_pngs
from drawwell.generator import Images
from drawwell_serve.drawing.image_request import Addressed, Drawing
from drawwell_serve.drawing.image_service import ClientGoneError, Well
from drawwell_serve.drawing.scheduler import Flow
from drawwell_serve.errors import ApiError
from drawwell_serve.http import ranges

MAX_PICTURES = 256
"""In one JSON reply or on one sheet, which are made whole in memory, for people."""

_UNREAD_BYTES = 64 * 1024
"""A whole reply up to this length waits for its client without holding a place among the requests being answered."""

NPY_PLAIN_TYPE = f"{NPY_TYPE};footer=no"
"""For readers that take everything after the header for pixels, such as npyjs."""

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
    """Draws while it is sent: admitted when it is about to begin, its place given back when it ends or breaks off.

    ``part`` is the range of bytes that the client asked for. A stream is then drawn twice, the first time to learn its length.
    """

    def __init__(
        self,
        well: Well,
        drawing: Drawing,
        form: Form,
        headers: Mapping[str, str] | None = None,
        part: ranges.ByteRange | None = None,
    ) -> None:
        form.check(drawing)
        self._well, self._drawing, self._form, self._part = well, drawing, form, part
        self._named = {"content-type": form.media_type} | well.headers(drawing) | dict(headers or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the body was read
        about = scope.get("extensions", {}).get("drawwell", {})
        gone, cut = about.get("gone", lambda: False), about.get("cut", lambda: None)
        whole = self._form.stream is None or len(self._drawing) <= self._well.scheduler.piece_images
        images = len(self._drawing) if whole or self._part is None else 2 * len(self._drawing)
        with self._well.admitted(gone, images, whole, cut) as flow, suppress(ClientGoneError):
            if whole:
                await self._send_whole(flow, send)
            else:
                await self._send_stream(flow, send)

    async def _send_whole(self, flow: Flow, send: Send) -> None:
        body, digest = await self._in_time(self._whole(flow))
        self._well.let_go(flow)
        if self._part is not None:
            positions = self._part.of(len(body))
            self._named |= ranges.headers(positions, len(body))
            body = body[positions.start : positions.stop]
            digest = _content_digest(body)
        await self._start(send, len(body), {"content-digest": digest})
        if len(body) > _UNREAD_BYTES:  # else the last message does not wait for the client
            await send({"type": "http.response.body", "body": body, "more_body": True})
            with flow.reading(len(body)):
                await send({"type": "http.response.body"})
        else:
            await send({"type": "http.response.body", "body": body})

    async def _whole(self, flow: Flow) -> tuple[bytes, str]:
        well, drawing = self._well, self._drawing

        def whole(images: Images) -> tuple[bytes, str]:
            body = self._form.whole(well, drawing, images)
            return body, _content_digest(body)

        if len(drawing) <= well.scheduler.piece_images:
            return await well.draw(drawing, flow, whole)
        async with aclosing(well.stream(drawing, flow, lambda images, _: images)) as pieces:
            images = np.concatenate([piece async for piece in pieces])
        return await asyncio.to_thread(whole, images)

    async def _send_stream(self, flow: Flow, send: Send) -> None:
        assert self._form.stream is not None
        length = self._form.length(self._well, self._drawing)
        chunks = self._form.stream(self._well, self._drawing, flow)
        if self._part is not None:
            with self._well.finding_length(flow):  # without a deadline: it takes as long as the whole reply
                whole = await _length_of(chunks)
            positions = self._part.of(whole)
            self._named |= ranges.headers(positions, whole)
            length = len(positions)
            chunks = _part_of(self._form.stream(self._well, self._drawing, flow), positions)
        async with aclosing(chunks):
            chunk: bytes | None = await self._in_time(anext(chunks))
            await self._start(send, length)
            while chunk is not None:
                with flow.reading(len(chunk)):
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

    async def _start(self, send: Send, length: int | None, more: Mapping[str, str] | None = None) -> None:
        headers = {**self._named, **(more or {})} | ({} if length is None else {"content-length": str(length)})
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200 if self._part is None else 206, "headers": raw})


def _content_digest(body: bytes) -> str:
    """RFC 9530, section 2."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


async def _length_of(chunks: Chunks) -> int:
    async with aclosing(chunks):
        return sum([len(chunk) async for chunk in chunks])


async def _part_of(chunks: Chunks, positions: range) -> Chunks:
    """The bytes at ``positions`` of the whole stream."""
    begin = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            if part := chunk[max(0, positions.start - begin) : max(0, positions.stop - begin)]:
                yield part
            begin += len(chunk)
            if begin >= positions.stop:
                return


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


def _npy(media_type: str, has_footer: bool) -> Form:
    """uint8 ``[N, H, W, C]`` and the checksum, or without it."""

    def whole(_: Well, __: Drawing, images: Images) -> bytes:
        return Npy.encode(images, has_footer)

    async def stream(well: Well, drawing: Drawing, flow: Flow) -> Chunks:
        npy = made(well, drawing)
        header = npy.header
        async with aclosing(well.stream(drawing, flow, lambda images, _: images.tobytes())) as pieces:
            async for pixels in pieces:
                yield header + npy.append(pixels)  # in order, so not where pieces are drawn side by side
                header = b""
        if has_footer:
            yield npy.end()

    def made(well: Well, drawing: Drawing) -> Npy:
        return Npy((len(drawing), *well.engine.card.image_shape), has_footer)

    return Form(media_type, whole, stream, length=lambda well, drawing: made(well, drawing).length)


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
        message = f"an archive names its images by address, and these are others: send Accept: {NPY_TYPE}"
        raise ApiError(400, "no_address", message)


FORMS: dict[str, Form] = {
    form.media_type: form
    for form in (
        Form("application/json", _json, check=_check_few),
        Form("image/png", _png, check=_check_few),
        _npy(NPY_TYPE, has_footer=True),
        _npy(NPY_PLAIN_TYPE, has_footer=False),
        _archive(Zip),
        _archive(Tar),
    )
}
"""By media type; the first is the default."""
