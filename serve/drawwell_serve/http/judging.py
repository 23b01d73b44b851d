"""``POST /judge``: the discriminator's opinion of pictures."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from drawwell.engine.judge import Judge
from drawwell.engine.judgement import scale_of
from drawwell.errors import PictureError, ProviderError, RequestError
from drawwell.files.discriminator_card import Logits
from drawwell.files.labels import label_named
from drawwell.formats.npy import NPY_TYPE
from drawwell_serve.drawing.active_request import ActiveRequest
from drawwell_serve.drawing.image_service import ClientDisconnectedError, ImageService, Pieces
from drawwell_serve.drawing.judge_service import JudgeService, cannot_judge
from drawwell_serve.errors import ApiError
from drawwell_serve.http.accept import accepted
from drawwell_serve.http.body import media_type_of, read
from drawwell_serve.http.picture_body import (
    MAX_BODY_BYTES,
    MEDIA_TYPES,
    PICTURE_TYPES,
    ArrayPictures,
    EncodedPicture,
    read_array,
    split_multipart,
)
from drawwell_serve.http.replies import AdmittedReply, send_body, send_start

_NO_DISCRIMINATOR = (
    "this server has no discriminator to judge with: drawwell export RUN writes discriminator.onnx beside generator.onnx, and "
    "a server of this generator then takes it"
)

logger = logging.getLogger("drawwell.serve")


async def judge(request: Request) -> Response:
    """``POST /judge``."""
    service: ImageService = request.app.state.service
    judging = await _judging_of(service)
    accepted(request, ("application/json",))
    kind = _kind_of(request)
    label = _label_of(request, judging.judge)
    service.check_room()  # before the body is read
    body = await read(request, service, MAX_BODY_BYTES)
    if not body:
        raise ApiError(400, "empty_body", "the body is empty: send a picture, as in curl --data-binary @cat.png")
    parts: Sequence[EncodedPicture | ArrayPictures]
    if kind == NPY_TYPE:
        parts = read_array(body, judging.work.most_rows)
    elif kind in PICTURE_TYPES:
        parts = [EncodedPicture("", body)]
    else:
        parts = split_multipart(body, request.headers["content-type"])
    return JudgeReply(service, judging, parts, len(body), label)


async def _judging_of(service: ImageService) -> JudgeService:
    """What judges. Raises ``ApiError`` 404 if there is no discriminator, 503 if it fails or cannot be used."""
    if service.discriminator is None:
        raise ApiError(404, "no_discriminator", _NO_DISCRIMINATOR)
    if service.judging is None:
        raise cannot_judge()
    await service.judging.readiness.check()
    return service.judging


def _kind_of(request: Request) -> str:
    """The media type of the body. Raises ``ApiError`` 415 for one that holds no pictures."""
    if (kind := media_type_of(request)) not in MEDIA_TYPES:
        instead = f", not {kind}" if kind else "; this request has no Content-Type"
        message = f"send pictures with Content-Type {', '.join(MEDIA_TYPES)}{instead}"
        raise ApiError(415, "unsupported_media_type", message)
    return kind


def _label_of(request: Request, judge: Judge) -> int | None:
    """The class in the query; None without one. Raises ``ApiError`` 422 for another class, or another field."""
    fields = request.query_params.multi_items()
    if not fields:
        return None
    if [name for name, _ in fields] != ["label"]:
        raise ApiError(422, "invalid_field", "the query takes one field, label: a class by its name or its index")
    try:
        return label_named(judge.card, fields[0][1])
    except RequestError as error:
        raise ApiError(422, "invalid_field", str(error), "label") from None


class JudgeReply(AdmittedReply):
    """Decodes and judges pictures, and sends what the discriminator says.

    Args:
        service: Admits the request.
        judging: Judges in the queue of ``service``.
        parts: The pictures. They are let go as soon as they are decoded.
        size: The bytes of the body.
        label: The class to judge the pictures under; by default the one that is found.

    Raises:
        ApiError: When it is sent: 422 for a picture that cannot be decoded, 429 or 503 if no reply can begin.
    """

    def __init__(
        self,
        service: ImageService,
        judging: JudgeService,
        parts: Sequence[EncodedPicture | ArrayPictures],
        size: int,
        label: int | None,
    ) -> None:
        super().__init__(service, judging.work, sum(map(len, parts)), is_whole=False)
        self._judging, self._parts, self._size, self._label = judging, deque(parts), size, label
        self._names = [part.name for part in parts if isinstance(part, EncodedPicture)]

    async def _answer(self, active: ActiveRequest, send: Send) -> None:
        async with self._service.deadline("send it again later, or fewer or smaller pictures at once"):
            logits = await self._logits(active)
            # thousands of opinions take longer than the event loop may be held up
            body = await asyncio.to_thread(_reply, self._judging.judge, logits, self._label, self._names)
        await send_start({"content-type": "application/json", "content-length": str(len(body))}, 200, send)
        await send_body(body, active, send)

    async def _logits(self, active: ActiveRequest) -> Logits:
        try:
            with self._judging.decoding.holding(self._size):
                return np.concatenate([rows async for rows in self._service.in_order(self._pieces(active), active)])
        except PictureError as error:
            raise ApiError(422, "invalid_picture", str(error)) from None
        except ProviderError as error:
            logger.error("%s", error)
            raise cannot_judge() from None

    async def _pieces(self, active: ActiveRequest) -> Pieces:
        """Fit one part after the other, while those before it are judged."""
        while self._parts:
            if active.is_disconnected():
                raise ClientDisconnectedError
            images = await self._judging.decoding.fit(self._parts.popleft())
            yield self._judging.submit(active, images, self._label), len(images)


def _reply(judge: Judge, logits: Logits, label: int | None, names: list[str]) -> bytes:
    card, named = judge.card, names if any(names) else [""] * len(logits)
    scale, labels = scale_of(card, label is not None), None if label is None else np.full(len(logits), label)
    pictures = [
        {**({"name": name} if name else {}), **judgement.to_json(), "in_words": judgement.in_words(card)}
        for name, judgement in zip(named, judge.judgements(logits, labels), strict=True)
    ]
    about = {
        "held_out_pictures": scale.real.pictures,
        "drawn_pictures": scale.drawn.pictures,
        "roc_auc": scale.roc_auc,
        **({} if card.class_accuracy is None else {"class_accuracy": card.class_accuracy}),
    }
    fields = {"digest": judge.digest, "generator": card.generator, "count": len(pictures), "pictures": pictures}
    return msgspec.json.encode({**fields, "about": about})
