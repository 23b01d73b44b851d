"""The reply with images: it is drawn while it is sent."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress

import numpy as np
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from drawwell.generator import Images
from drawwell.http import protocol as wire
from drawwell.image_request import ImageRequest
from drawwell_serve.drawing.active_request import ActiveRequest
from drawwell_serve.drawing.image_service import ClientDisconnectedError, ImageService
from drawwell_serve.drawing.work import Work
from drawwell_serve.http import ranges
from drawwell_serve.http.formats import ReplyFormat, StreamFormat

_UNREAD_BYTES = 64 * 1024
"""A whole reply up to this length waits for its client without holding a place among the requests being answered."""

Chunks = AsyncGenerator[bytes, None]


class AdmittedReply(Response):
    """A reply that is admitted when it begins, and gives its place back when it was sent or breaks off.

    Args:
        service: Admits it.
        work: What it waits for.
        images: Images that will be drawn or judged.
        is_whole: Whether it is built in memory as a whole, with all its images.

    Raises:
        ApiError: When it is sent: 429 or 503 if it cannot begin.
    """

    def __init__(self, service: ImageService, work: Work, images: int, is_whole: bool) -> None:
        self._service, self._work, self._images, self._is_whole = service, work, images, is_whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the body was read
        connection = scope.get("extensions", {}).get("drawwell", {})
        is_disconnected = connection.get("is_disconnected", lambda: False)
        abort = connection.get("abort", lambda: None)
        with (
            self._service.admit(self._images, self._is_whole, is_disconnected, abort, self._work) as active,
            suppress(ClientDisconnectedError),
        ):
            await self._answer(active, send)

    async def _answer(self, active: ActiveRequest, send: Send) -> None:
        raise NotImplementedError


async def send_body(body: bytes, active: ActiveRequest, send: Send) -> None:
    """Send a whole body. The client of a long one must read it, to keep its place."""
    if len(body) > _UNREAD_BYTES:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        with active.reading(len(body)):
            await send({"type": "http.response.body"})
    else:
        await send({"type": "http.response.body", "body": body})


async def send_start(fields: Mapping[str, str], status: int, send: Send) -> None:
    """Send the status and the header fields."""
    raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


class ImagesReply(AdmittedReply):
    """Draws images and sends them.

    Args:
        service: Admits and draws.
        request: The images.
        reply_format: How the images are encoded.
        headers: Further headers.
        byte_range: The bytes that the client asked for. A stream is then drawn twice, the first time to learn its length.

    Raises:
        ApiError: 400 if the format cannot hold the images. When it is sent: 416, 429 or 503 if no reply can begin.
    """

    def __init__(
        self,
        service: ImageService,
        request: ImageRequest,
        reply_format: type[ReplyFormat],
        headers: Mapping[str, str] | None = None,
        byte_range: ranges.ByteRange | None = None,
    ) -> None:
        reply_format.check(request)
        count, drawing = len(request), service.scheduler.drawing
        is_whole = not issubclass(reply_format, StreamFormat) or count <= drawing.most_rows
        super().__init__(service, drawing, count if is_whole or byte_range is None else 2 * count, is_whole)
        self._request, self._format, self._range = request, reply_format, byte_range
        self._fields = {
            "content-type": reply_format.media_type,
            **wire.about(request),
            **service.headers,
            **(headers or {}),
        }

    async def _answer(self, active: ActiveRequest, send: Send) -> None:
        if not self._is_whole:
            await self._send_stream(active, send)
            return
        async with self._service.deadline():
            body, digest = await self._whole(active)
        self._service.release_images(active)
        await self._send_whole(body, digest, active, send)

    async def _send_whole(self, body: bytes, digest: str, active: ActiveRequest, send: Send) -> None:
        if self._range is not None:
            positions = self._range.of(len(body))
            self._fields |= ranges.headers(positions, len(body))
            body = body[positions.start : positions.stop]
            digest = _content_digest(body)
        self._fields["content-digest"] = digest
        await self._send_start(send, len(body))
        await send_body(body, active, send)

    async def _whole(self, active: ActiveRequest) -> tuple[bytes, str]:
        """Draw and encode the whole body. Return it with its ``Content-Digest``."""
        request, body = self._request, self._format(self._request, self._service.engine)

        def encode(images: Images, _: int = 0) -> tuple[bytes, str]:
            content = body.whole(images)
            return content, _content_digest(content)

        if len(request) <= self._service.scheduler.piece_images:
            return await self._service.draw(request, active, encode)
        async with aclosing(self._service.stream(request, active, lambda images, _: images)) as pieces:
            images = np.concatenate([piece async for piece in pieces])
        return await asyncio.to_thread(encode, images)

    async def _send_stream(self, active: ActiveRequest, send: Send) -> None:
        body, length = self._stream(active)
        if self._range is not None:
            with self._service.finding_length(active):  # without a deadline: it takes as long as the whole reply
                total = await _length_of(body)
            positions = self._range.of(total)
            self._fields |= ranges.headers(positions, total)
            body, length = _part_of(self._stream(active)[0], positions), len(positions)
        async with aclosing(body):
            async with self._service.deadline():
                chunk: bytes | None = await anext(body)
            await self._send_start(send, length)
            while chunk is not None:
                with active.reading(len(chunk)):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await anext(body, None)
            await send({"type": "http.response.body"})

    def _stream(self, active: ActiveRequest) -> tuple[Chunks, int | None]:
        """The body as a stream, and its length in bytes if that is known."""
        body = self._format(self._request, self._service.engine)
        assert isinstance(body, StreamFormat), "other formats are sent as a whole"
        return _chunks(self._service, self._request, active, body), body.length()

    async def _send_start(self, send: Send, length: int | None) -> None:
        fields = self._fields if length is None else {**self._fields, "content-length": str(length)}
        await send_start(fields, 200 if self._range is None else 206, send)


async def _chunks(service: ImageService, request: ImageRequest, active: ActiveRequest, body: StreamFormat) -> Chunks:
    async with aclosing(service.stream(request, active, body.encode)) as pieces:
        async for encoded in pieces:
            yield body.append(encoded)
    for rest in body.end():
        yield rest


def _content_digest(body: bytes) -> str:
    """The value of ``Content-Digest`` (RFC 9530, section 2)."""
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
