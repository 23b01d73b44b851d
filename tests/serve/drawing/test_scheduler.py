"""Who is drawn next, together with whom, and who not at all. The engine is real; where order matters it waits for the test."""

import asyncio
import functools
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawwell.engine.backends import CpuBackend
from drawwell.engine.engine import Engine
from drawwell.errors import DeviceMemoryError, ProviderError
from drawwell.generator import Images
from drawwell.image_request import Feeds, ImageRequest
from drawwell_serve.drawing.active_request import PATIENCE_SECONDS, ActiveRequest
from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.drawing.scheduler import Scheduler
from drawwell_serve.errors import ApiError
from drawwell_serve.metrics import Metrics
from drawwell_serve.settings import Settings


@pytest.fixture(scope="module")
def engine(tiny_generator: Path) -> Iterator[Engine]:
    engine = Engine(tiny_generator, "cpu", threads=1)
    yield engine
    engine.close()


class Turnstile:
    """Holds every run back until it is opened, and remembers how many rows each had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: list[int] = []
        self._open, real = threading.Event(), CpuBackend.run

        def run(backend: CpuBackend, feeds: Feeds, whole: bool) -> Images:
            self._open.wait(30)
            self.runs.append(len(feeds["z"]))
            return real(backend, feeds, whole)

        monkeypatch.setattr(CpuBackend, "run", run)

    def open(self) -> None:
        self._open.set()


Drawn = list[str]


@pytest.fixture
def scheduler(engine: Engine) -> Iterator[Scheduler]:
    scheduler = Scheduler(engine, Metrics(engine))
    yield scheduler
    scheduler.close()


@pytest.fixture
def turnstile(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> Turnstile:  # noqa: ARG001 - which tries its speed
    return Turnstile(monkeypatch)


def ask(scheduler: Scheduler, drawn: Drawn, name: str, active: ActiveRequest, count: int) -> "asyncio.Future[Any]":
    def on_images(images: Images, _: int) -> Images:
        drawn.append(name)
        return images

    places = slice(0, min(count, scheduler.piece_images))
    return scheduler.submit(active, ImageRequest(7, range(count)), places, on_images)


def test_a_lone_image_passes_a_long_request(scheduler: Scheduler, turnstile: Turnstile) -> None:
    drawn: Drawn = []
    piece = scheduler.piece_images

    async def main() -> None:
        long = ActiveRequest(scheduler.drawing)
        waiting = [ask(scheduler, drawn, f"long {n}", long, piece) for n in range(10)]
        waiting.append(ask(scheduler, drawn, "lone", ActiveRequest(scheduler.drawing), 1))
        turnstile.open()
        await asyncio.gather(*waiting)

    asyncio.run(main())
    assert drawn.index("lone") <= 2, f"the long request held it up: {drawn}"
    assert [name for name in drawn if name != "lone"] == [f"long {n}" for n in range(10)]


def test_long_requests_take_turns(scheduler: Scheduler, turnstile: Turnstile) -> None:
    drawn: Drawn = []

    async def main() -> None:
        flows = {name: ActiveRequest(scheduler.drawing) for name in "abc"}
        waiting = [ask(scheduler, drawn, name, flows[name], scheduler.piece_images) for name in "abc"]
        waiting += [
            ask(scheduler, drawn, name, flow, scheduler.piece_images) for name, flow in flows.items() for _ in range(5)
        ]
        turnstile.open()
        await asyncio.gather(*waiting)

    asyncio.run(main())
    assert all(set(drawn[turn : turn + 3]) == set("abc") for turn in range(0, 18, 3)), drawn


def test_waiting_requests_share_runs(scheduler: Scheduler, turnstile: Turnstile) -> None:
    async def main() -> list[Images]:
        waiting = [
            ask(scheduler, [], "one", ActiveRequest(scheduler.drawing), 1)
            for _ in range(2 * scheduler.piece_images + 1)
        ]
        turnstile.open()
        images: list[Images] = await asyncio.gather(*waiting)
        return images

    images = asyncio.run(main())
    assert all(np.array_equal(each, images[0]) for each in images)
    assert max(turnstile.runs) == scheduler.piece_images
    assert len(turnstile.runs) <= 4, f"one at a time: {turnstile.runs}"


@settings(deadline=None, max_examples=30)
@given(counts=st.lists(st.integers(1, 16), min_size=1, max_size=30))
def test_whoever_is_drawn_together_gets_his_own(engine: Engine, counts: list[int]) -> None:
    scheduler = Scheduler(engine, Metrics(engine))

    async def main() -> list[Images]:
        drawn: list[Images] = await asyncio.gather(
            *(
                scheduler.submit(
                    ActiveRequest(scheduler.drawing),
                    ImageRequest(seed, range(count)),
                    slice(0, count),
                    lambda images, _: images,
                )
                for seed, count in enumerate(counts)
            )
        )
        return drawn

    try:
        for seed, images in enumerate(asyncio.run(main())):
            np.testing.assert_array_equal(images, engine.generate(seed, counts[seed]).images)
    finally:
        scheduler.close()


def test_what_nobody_waits_for_is_not_drawn(scheduler: Scheduler, turnstile: Turnstile) -> None:
    drawn: Drawn = []
    left = threading.Event()

    async def main() -> None:
        piece = scheduler.piece_images
        first = ask(scheduler, drawn, "first", ActiveRequest(scheduler.drawing), piece)
        gone = [ask(scheduler, drawn, "gone", ActiveRequest(scheduler.drawing, left.is_set), piece) for _ in range(5)]
        cancelled = ask(scheduler, drawn, "cancelled", ActiveRequest(scheduler.drawing), piece)
        last = ask(scheduler, drawn, "last", ActiveRequest(scheduler.drawing), piece)
        left.set()
        cancelled.cancel()
        turnstile.open()
        await asyncio.gather(first, last)
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*gone, return_exceptions=True)
        )

    asyncio.run(main())
    assert drawn == ["first", "last"]
    assert scheduler.waiting_images == 0


@pytest.mark.parametrize("error", [ProviderError("broken"), DeviceMemoryError("full")])
def test_a_failure_reaches_those_who_wait_and_no_other(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, error: ProviderError
) -> None:
    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(CpuBackend, "run", lambda *_: (_ for _ in ()).throw(error))
            with pytest.raises(type(error)):
                await ask(scheduler, [], "", ActiveRequest(scheduler.drawing), 3)
        assert len(await ask(scheduler, [], "", ActiveRequest(scheduler.drawing), 3)) == 3

    asyncio.run(main())
    assert scheduler.drawing.failed is not isinstance(error, DeviceMemoryError), (
        "readiness follows what cannot pass by itself"
    )


@pytest.fixture
def service(tiny_generator: Path) -> Iterator[ImageService]:
    service = ImageService(Settings(str(tiny_generator), threads=1, queue_requests=3, deadline_seconds=2))
    yield service
    service.close()


def enter(service: ImageService) -> None:
    with service.admit():
        pass


def fill(service: ImageService, pieces: int) -> "list[asyncio.Future[Any]]":
    scheduler = service.scheduler
    return [ask(scheduler, [], "", ActiveRequest(scheduler.drawing), scheduler.piece_images) for _ in range(pieces)]


def test_the_doors_close_when_too_many_are_being_answered(service: ImageService) -> None:
    with service.admit(), service.admit():
        enter(service)
        with service.admit(), pytest.raises(ApiError, match="is answering 3 requests") as refused:
            enter(service)
        enter(service)
    assert refused.value.status == 429
    assert int((refused.value.headers or {})["Retry-After"]) >= 1


def test_where_all_places_are_taken_the_slowest_reader_gives_its_own(
    service: ImageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one that waits more for the engine than for its reader, nor one that has waited for a moment only."""
    now, cut = [100.0], list[str]()
    monkeypatch.setattr("drawwell_serve.drawing.active_request.time.monotonic", lambda: now[0])
    with ExitStack() as stack:
        flows = {
            name: stack.enter_context(service.admit(abort=functools.partial(cut.append, name)))
            for name in ("waits to be drawn", "is read fast", "is read slowly")
        }
        with flows["waits to be drawn"].reading(10):
            now[0] += PATIENCE_SECONDS + 0.5
        for name, count in (("is read fast", 1_000_000), ("is read slowly", 10_000)):
            with flows[name].reading(count):
                now[0] += PATIENCE_SECONDS - 0.5
        with pytest.raises(ApiError, match="is answering 3 requests"):
            enter(service)
        for name in ("is read fast", "is read slowly"):
            stack.enter_context(flows[name].reading(1000))
        now[0] += 4
        with service.admit():
            assert cut == ["is read slowly"]
        enter(service)
        assert cut == ["is read slowly"], "its place is free now"


def test_the_doors_close_when_too_many_images_wait(service: ImageService, monkeypatch: pytest.MonkeyPatch) -> None:
    turnstile, piece = Turnstile(monkeypatch), service.scheduler.piece_images
    service.max_queued_images = 5 * piece

    async def main() -> None:
        waiting = fill(service, 5)  # one is under way
        await asyncio.sleep(0.1)
        enter(service)
        waiting += fill(service, 1)
        with pytest.raises(ApiError, match=f"{5 * piece} images and pictures wait") as refused:
            enter(service)
        assert refused.value.status == 429
        assert int((refused.value.headers or {})["Retry-After"]) >= 1
        turnstile.open()
        await asyncio.gather(*waiting)
        enter(service)

    asyncio.run(main())


def test_who_would_be_too_late_is_told_at_once(service: ImageService, monkeypatch: pytest.MonkeyPatch) -> None:
    turnstile = Turnstile(monkeypatch)

    async def main() -> None:
        service.scheduler.drawing.seconds = 1.0  # of a piece
        waiting = fill(service, 1 + 3)
        await asyncio.sleep(0.1)
        with pytest.raises(ApiError, match="in 3 seconds, after the deadline of 2") as refused:
            enter(service)
        assert refused.value.status == 503
        assert (refused.value.headers or {})["Retry-After"] == "3"
        turnstile.open()
        await asyncio.gather(*waiting)

    asyncio.run(main())
