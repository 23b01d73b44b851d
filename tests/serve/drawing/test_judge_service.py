"""Judging never hurts drawing: whose turn it is, what is estimated, and what is kept in memory."""

import asyncio
import io
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drawwell.files.generator_file import read_generator
from drawwell.formats import pictures
from drawwell.generator import Images
from drawwell.image_request import Feeds, ImageRequest
from drawwell_serve.drawing.active_request import ActiveRequest
from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.drawing.judge_service import JudgeService
from drawwell_serve.errors import ApiError
from drawwell_serve.http.judging import JudgeReply
from drawwell_serve.http.picture_body import EncodedPicture
from drawwell_serve.settings import Settings
from tests import graphs


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ImageService]:
    file = graphs.write_labelled(tmp_path / "generator.onnx", "dark", "light")
    graphs.write_discriminator(tmp_path / "discriminator.onnx", "dark", "light", generator=read_generator(file).digest)
    service = ImageService(Settings(str(file), threads=1, queue_requests=2))
    yield service
    service.close()


@pytest.fixture
def judging(service: ImageService) -> JudgeService:
    assert service.judging is not None
    return service.judging


def blank(count: int) -> Images:
    return np.zeros((count, *graphs.SHAPE), np.uint8)


def png(level: int = 9) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (50, 40), level).save(stream, "PNG")
    return stream.getvalue()


def test_a_stream_of_pictures_gets_no_more_of_the_engines_time_than_one_of_images(
    service: ImageService, judging: JudgeService
) -> None:
    """A whole piece of pictures is taken to cost as much as ten whole pieces of images."""
    order, scheduler, may_begin = list[str](), service.scheduler, threading.Event()
    scheduler.drawing.seconds, judging.work.seconds = 0.001, 0.010

    def held(feeds: Feeds) -> Images:
        may_begin.wait(30)
        return service.engine.draw(feeds)

    scheduler.drawing.run = held
    draws, judges = ActiveRequest(scheduler.drawing), ActiveRequest(judging.work)
    images, some = scheduler.drawing.most_rows, judging.work.most_rows

    async def main() -> None:
        request, feeds = ImageRequest(7, range(images)), judging.judge.feeds(blank(some))
        waiting = [
            scheduler.submit(draws, request, slice(0, images), lambda *_: order.append("draw")) for _ in range(40)
        ]
        waiting += [
            scheduler.queue(judges, slice(0, some), lambda: feeds, lambda *_: order.append("judge")) for _ in range(20)
        ]
        may_begin.set()
        await asyncio.gather(*waiting)

    asyncio.run(main())
    assert (order.count("draw"), order.count("judge")) == (40, 20)
    assert 3 <= order[:44].count("judge") <= 5, order


def test_slow_judging_changes_no_estimate_of_drawing(service: ImageService, judging: JudgeService) -> None:
    cost, retry, quick = service.scheduler.drawing.row_seconds, service.retry_after(), judging.work.row_seconds
    judging.work.measure(1, 30.0)
    assert judging.work.row_seconds > 10 * quick
    assert (service.scheduler.drawing.row_seconds, service.retry_after()) == (cost, retry)
    service.check_room()


def test_pictures_that_wait_count_as_long_as_judging_them_takes(service: ImageService, judging: JudgeService) -> None:
    judging.work.seconds = 2.0 * judging.work.most_rows  # of a piece
    with service.admit(15, work=judging.work):
        assert service.retry_after() == {"Retry-After": "30"}
    assert service.retry_after() == {"Retry-After": "1"}


def test_a_body_is_let_go_as_soon_as_it_is_decoded(
    service: ImageService, judging: JudgeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [EncodedPicture("", png()) for _ in range(4)]
    watched, alive = [weakref.ref(part) for part in parts], list[int]()
    real = pictures.decode

    def decode(*arguments: Any) -> Images:
        alive.append(sum(one() is not None for one in watched))
        return real(*arguments)

    monkeypatch.setattr(pictures, "decode", decode)
    reply = JudgeReply(service, judging, parts, 100, None)
    parts.clear()
    asyncio.run(reply({"type": "http"}, _nothing, _nothing))
    assert alive == [4, 3, 2, 1]


async def _nothing(*_: object) -> Any:
    return None


def test_a_request_keeps_its_place_until_its_reply_is_sent(service: ImageService, judging: JudgeService) -> None:
    refused = list[str]()

    async def send(message: Any) -> None:
        with service.admit(), pytest.raises(ApiError, match="is answering 2 requests"), service.admit():
            pass
        refused.append(message["type"])

    reply = JudgeReply(service, judging, [EncodedPicture("", png())], 100, None)
    asyncio.run(reply({"type": "http"}, _nothing, send))
    assert refused == ["http.response.start", "http.response.body"]
    with service.admit(), service.admit():
        pass


def test_one_picture_is_decoded_between_those_of_a_long_request(
    service: ImageService, judging: JudgeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, both_wait, real = list[bytes](), threading.Event(), pictures.decode

    def decode(content: bytes, *arguments: Any) -> Images:
        both_wait.wait(30)
        order.append(content)
        return real(content, *arguments)

    monkeypatch.setattr(pictures, "decode", decode)
    long, short = png(1), png(2)

    async def main() -> None:
        replies = [
            JudgeReply(service, judging, [EncodedPicture("", content)] * count, 100, None)
            for content, count in ((long, 30), (short, 1))
        ]
        waiting = [asyncio.create_task(reply({"type": "http"}, _nothing, _nothing)) for reply in replies]
        await asyncio.sleep(0.1)
        both_wait.set()
        await asyncio.gather(*waiting)

    asyncio.run(main())
    assert order.index(short) <= 2, "it waits for the picture under way alone"
    assert len(order) == 31
