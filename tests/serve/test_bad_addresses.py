"""URLs that are no address, or nearly, and conditional requests for those that are."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from drawwell.engine import Engine
from drawwell.pictures import to_png
from tests.conftest import Server
from tests.raw import exchange, request


@pytest.fixture(scope="module")
def engine(tiny_generator: Path) -> Engine:
    return Engine(tiny_generator)


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


URL = "/images/{digest}/7/5.png"
ADDRESSES = [
    ("/images/{digest}/7/..%2f5.png", "GET /images/{digest}/7/../5.png: not found"),
    ("/images/{digest}/../5.png", "the seed in the path must be an integer from 0 to 2^63 - 1 in plain digits"),
    ("/images/{digest}/%2e%2e/5.png", "the seed in the path must be"),
    ("/images/{digest}//5.png", "GET /images/{digest}//5.png: not found"),
    ("//images/{digest}/7/5.png", "GET //images/{digest}/7/5.png: not found"),
    ("/images/{digest}/7/%00.png", "the index in the path must be"),
    ("/images/{digest}/7/5%00.png", "the index in the path must be"),
    ("/images/{digest}/07/5.png", "the seed in the path must be"),
    ("/images/{digest}/+7/5.png", "the seed in the path must be"),
    ("/images/{digest}/-7/5.png", "the seed in the path must be"),
    ("/images/{digest}/7/5.0.png", "the index in the path must be"),
    ("/images/{digest}/7/%D9%A5.png", "the index in the path must be"),
    ("/images/{digest}/7/9223372036854775808.png", "the index in the path must be"),
    ("/images/{digest}/7/99999999999999999999.png", "the index in the path must be"),
    ("/images/{DIGEST}/7/5.png", "this server draws from the generator {digest} alone"),
    ("/images/" + "0" * 64 + "/7/5.png", "this server draws from the generator {digest} alone"),
    ("/images/%2e%2e/7/5.png", "this server draws from the generator {digest} alone"),
    ("/shards/{digest}/7/5-3.tar", "a shard is FIRST-LAST, and 3 comes before 5"),
    ("/shards/{digest}/7/0-1000000.tar", "a shard holds at most 1,000,000 images, not 1,000,001"),
    ("/shards/{digest}/7/1-2-3.tar", "the first index in the path must be"),
    ("/shards/{digest}/7/0-9223372036854775808.tar", "the last index in the path must be"),
]


@pytest.mark.parametrize(("path", "sentence"), ADDRESSES)
def test_a_url_that_is_no_address_is_a_404(server: Server, engine: Engine, path: str, sentence: str) -> None:
    names = {"digest": engine.digest, "DIGEST": engine.digest.upper()}
    (reply,) = exchange(server, request("GET", path.format(**names)))
    assert reply.status == 404
    assert json.loads(reply.body)["error"]["message"].startswith(sentence.format(**names))
    (head,) = exchange(server, request("HEAD", path.format(**names)))
    assert (head.status, head.body) == (404, b"")


def test_who_has_an_image_is_not_sent_it_again(http: httpx.Client, engine: Engine) -> None:
    url = URL.format(digest=engine.digest)
    whole, head = http.get(url), http.head(url)
    assert whole.content == to_png(engine.generate(7, indices=[5]).images[0])
    etag = whole.headers["etag"]
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    for known in (etag, f"W/{etag}", f'"other", {etag}', f'"other",W/{etag} , "more"', "*"):
        for method in ("GET", "HEAD"):
            again = http.request(method, url, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    for unknown in ('"other"', f"w/{etag}", etag[1:-1], "", f'{etag[:-1]}x"', '"*"'):
        assert http.get(url, headers={"If-None-Match": unknown}).content == whole.content
