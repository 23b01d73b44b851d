"""``POST /judge``: the discriminator's opinion of pictures."""

import asyncio

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from drawwell.engine.judge import Judge
from drawwell.engine.judgement import scale_of
from drawwell.errors import PictureError
from drawwell.files.discriminator_card import Logits
from drawwell.formats.npy import NPY_TYPE
from drawwell.generator import Images
from drawwell_serve.drawing.active_request import ActiveRequest
from drawwell_serve.drawing.image_service import ClientDisconnectedError, ImageService
from drawwell_serve.errors import ApiError
from drawwell_serve.http.accept import choose
from drawwell_serve.http.body import media_type_of, read
from drawwell_serve.http.picture_body import (
    MAX_BODY_BYTES,
    MEDIA_TYPES,
    PICTURE_TYPES,
    Picture,
    read_array,
    split_multipart,
)

_NO_DISCRIMINATOR = (
    "this server has no discriminator to judge with: drawwell export RUN writes discriminator.onnx beside generator.onnx, and "
    "a server of this generator then takes it; if it lies there, the log of the server says why it is not used"
)


async def judge(request: Request) -> Response:
    """``POST /judge``."""
    service: ImageService = request.app.state.service
    if service.judge is None:
        raise ApiError(404, "no_discriminator", _NO_DISCRIMINATOR)
    choose(", ".join(request.headers.getlist("accept")), ("application/json",))
    kind = media_type_of(request)
    if kind not in MEDIA_TYPES:
        instead = f", not {kind}" if kind else "; this request has no Content-Type"
        message = f"send pictures with Content-Type {', '.join(MEDIA_TYPES)}{instead}"
        raise ApiError(415, "unsupported_media_type", message)
    service.check_room()  # before the body is read
    body = await read(request, service, MAX_BODY_BYTES)
    if not body:
        raise ApiError(400, "empty_body", "the body is empty: send a picture, as in curl --data-binary @cat.png")
    if kind == NPY_TYPE:
        return JudgeReply(service, service.judge, read_array(body, service.judge.card.image_shape))
    parts = [Picture("", body)] if kind in PICTURE_TYPES else split_multipart(body, request.headers["content-type"])
    return JudgeReply(service, service.judge, parts)


class JudgeReply(Response):
    """Decodes and judges pictures, and sends what the discriminator says.

    Args:
        service: Admits the request, and judges in its queue.
        judge: The discriminator.
        pictures: Images uint8 ``[N, H, W, C]`` of its shape, or pictures to decode.

    Raises:
        ApiError: When it is sent: 422 for a picture that cannot be decoded, 429 or 503 if no reply can begin.
    """

    def __init__(self, service: ImageService, judge: Judge, pictures: Images | list[Picture]) -> None:
        self._service, self._judge, self._pictures = service, judge, pictures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope.get("extensions", {}).get("drawwell", {})
        is_disconnected = connection.get("is_disconnected", lambda: False)
        abort = connection.get("abort", lambda: None)
        with self._service.admit(len(self._pictures), True, is_disconnected, abort) as active:
            try:
                async with self._service.deadline():
                    images = await self._images(active)
                    logits = await self._service.judge_pictures(images, active)
            except ClientDisconnectedError:
                return
        # thousands of opinions take longer than the event loop may be held up
        body = await asyncio.to_thread(_reply, self._judge, logits, self._names())
        await Response(body, media_type="application/json")(scope, receive, send)

    async def _images(self, active: ActiveRequest) -> Images:
        """The pictures decoded, uint8 ``[N, H, W, C]``."""
        pictures, decoding = self._pictures, self._service.decoding
        if isinstance(pictures, np.ndarray):
            return pictures
        assert decoding is not None, "there is a discriminator"
        images = []
        with decoding.holding(sum(len(picture.content) for picture in pictures)):
            for picture in pictures:
                if active.is_disconnected():
                    raise ClientDisconnectedError
                try:
                    images.append(await decoding.decode(picture.content))
                except PictureError as error:
                    raise ApiError(422, "invalid_picture", f"{picture} {error}") from None
        return np.stack(images)

    def _names(self) -> list[str]:
        """The names of the files; empty for pictures without names."""
        return [] if isinstance(self._pictures, np.ndarray) else [picture.name for picture in self._pictures]


def _reply(judge: Judge, logits: Logits, names: list[str]) -> bytes:
    card, named = judge.card, names if any(names) else [""] * len(logits)
    scale = scale_of(card, False)
    pictures = [
        {**({"name": name} if name else {}), **judgement.to_json(), "in_words": judgement.in_words(card)}
        for name, judgement in zip(named, judge.judgements(logits), strict=True)
    ]
    about = {
        "held_out_pictures": scale.real.pictures,
        "drawn_pictures": scale.drawn.pictures,
        "roc_auc": scale.roc_auc,
        **({} if card.class_accuracy is None else {"class_accuracy": card.class_accuracy}),
    }
    fields = {"digest": judge.digest, "generator": card.generator, "count": len(pictures), "pictures": pictures}
    return msgspec.json.encode({**fields, "about": about})
