"""A part of an image or of a shard, so that a download that broke off goes on."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server

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
