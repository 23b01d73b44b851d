"""A part of an image or of a shard, so that a download that broke off goes on."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from drawwell_serve.drawing import image_service
from drawwell_serve.drawing.scheduler import Scheduler
from tests.conftest import Server
from tests.serve import behind

PATHS = ("images/{}/7/5.png", "shards/{}/7/0-9.tar", "shards/{}/7/3-999.tar")
"""One image, a shard that is made whole, and one that is streamed."""


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(params=PATHS)
def url(http: httpx.Client, request: pytest.FixtureRequest) -> str:
    return str(request.param.format(http.get("/model").json()["digest"]))


def part(http: httpx.Client, url: str, **headers: str) -> httpx.Response:
    return http.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_every_part_has_its_place_in_the_whole(http: httpx.Client, url: str) -> None:
    whole = http.get(url)
    assert whole.headers["accept-ranges"] == http.head(url).headers["accept-ranges"] == "bytes"
    size, body = len(whole.content), whole.content
    for asked, first, last in (
        ("0-", 0, size - 1),
        ("0-0", 0, 0),
        ("100-199", 100, 199),
        (f"{size // 2}-", size // 2, size - 1),
        (f"{size - 1}-", size - 1, size - 1),
        (f"5-{10**18}", 5, size - 1),
        ("-7", size - 7, size - 1),
        (f"-{2 * size}", 0, size - 1),
    ):
        answer = part(http, url, Range=f"bytes={asked}")
        assert (answer.status_code, answer.headers["content-range"]) == (206, f"bytes {first}-{last}/{size}")
        assert answer.content == body[first : last + 1]
        assert answer.headers["content-length"] == str(last - first + 1)
        assert answer.headers["etag"] == whole.headers["etag"]


def test_what_is_not_there_is_a_416_with_the_length(http: httpx.Client, url: str) -> None:
    size = len(http.get(url).content)
    for asked in (f"{size}-", f"{size + 5}-{size + 9}", "9999999999999999999-", "-0"):
        answer = part(http, url, Range=f"bytes={asked}")
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
        assert answer.json()["error"]["code"] == "range_not_satisfiable"


@pytest.mark.parametrize(
    "asked", ["bytes=9-1", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes=0-1" * 999]
)
def test_another_range_is_the_whole(http: httpx.Client, url: str, asked: str) -> None:
    answer = part(http, url, Range=asked)
    assert (answer.status_code, answer.content) == (200, http.get(url).content)


def test_if_range_and_if_none_match_come_first(http: httpx.Client, url: str) -> None:
    etag = http.get(url).headers["etag"]
    assert part(http, url, Range="bytes=1-2", If_Range=etag).status_code == 206
    for other in ('"other"', f"W/{etag}", "Fri, 27 Nov 2026 22:00:00 GMT"):
        assert part(http, url, Range="bytes=1-2", If_Range=other).status_code == 200
    assert part(http, url, Range="bytes=1-2", If_None_Match=etag).status_code == 304
    assert http.head(url, headers={"Range": "bytes=1-2"}).status_code == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_goes_on_where_it_stopped(http: httpx.Client, server: Server, url: str, tmp_path: Path) -> None:
    whole, file = http.get(url).content, tmp_path / "file"
    file.write_bytes(whole[: len(whole) // 3])
    subprocess.run(["curl", "-sfC", "-", "-o", file, f"{server.url}/{url}"], check=True)
    assert file.read_bytes() == whole


def test_finding_lengths_shuts_nobody_out(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of long shards take two places at most, for as long as nobody else wants them."""
    monkeypatch.setattr(Scheduler, "_work", lambda _: None)  # nothing is drawn

    async def ask(http: httpx.AsyncClient) -> list[int]:
        url = f"/shards/{(await http.get('/model')).json()['digest']}/7/0-999.tar"
        first = [
            asyncio.create_task(http.get(url, headers={"Range": "bytes=0-0"}))
            for _ in range(image_service.MOST_LENGTHS)
        ]
        await asyncio.sleep(0.1)
        answer = await http.get(url, headers={"Range": "bytes=0-0"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
        assert int(answer.headers["retry-after"]) >= 1
        others = [asyncio.create_task(http.get(url)) for _ in range(4)]
        await asyncio.sleep(0.1)
        full = await http.get(url)
        for task in (*first, *others):
            task.cancel()
        return [full.status_code, *(task.done() for task in others)]

    assert behind.asked(tiny_generator, ask, queue_requests=4) == [429, False, False, False, False]


def test_finding_a_length_has_no_deadline(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes as long as the whole reply, which has none either."""
    draw = Scheduler._draw

    def slowly(self: Scheduler, run: list[Any]) -> None:
        time.sleep(0.15)
        draw(self, run)

    monkeypatch.setattr(Scheduler, "_draw", slowly)

    async def ask(http: httpx.AsyncClient) -> int:
        url = f"/shards/{(await http.get('/model')).json()['digest']}/7/0-999.tar"
        return (await http.get(url, headers={"Range": "bytes=0-9"})).status_code

    assert behind.asked(tiny_generator, ask, deadline_seconds=1) == 206
