"""URLs that are no address, or nearly, and conditional requests for those that are."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from drawwell.engine.engine import Engine
from drawwell.formats.png import to_png
from drawwell_serve.http.app import create_app
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
HOW = "the path of an image is /images/DIGEST/SEED/INDEX.png, of a shard /shards/DIGEST/SEED/FIRST-LAST.tar, and of latents"
ADDRESSES = [
    ("/images/{digest}/7/..%2f5.png", HOW),
    ("/images/{digest}/../5.png", HOW),
    ("/images/{digest}/%2e%2e/5.png", HOW),
    ("/images/{digest}//5.png", HOW),
    ("//images/{digest}/7/5.png", "GET //images/{digest}/7/5.png: not found"),
    ("/images/{digest}/7/%00.png", HOW),
    ("/images/{digest}/7/5%00.png", HOW),
    ("/images/{digest}/7/5.png%0a", HOW),
    ("/images/{digest}/7/5.png%0A", HOW),
    ("/images/{digest}/7/%35.png", HOW),
    ("/images/{digest}/7/5%2epng", HOW),
    ("/%69mages/{digest}/7/5.png", "GET /%69mages/{digest}/7/5.png: not found"),
    ("/shards/{digest}/7/0%2D9.tar", HOW),
    ("/shards/{digest}/7/0-9.tar%0a", HOW),
    ("/model%0a", "GET /model%0a: not found"),
    ("/%6dodel", "GET /%6dodel: not found"),
    ("/images/{digest}/07/5.png", HOW),
    ("/images/{digest}/+7/5.png", HOW),
    ("/images/{digest}/-7/5.png", HOW),
    ("/images/{digest}/7/5.0.png", HOW),
    ("/images/{digest}/7/%D9%A5.png", HOW),
    ("/images/{digest}/7/9223372036854775808.png", "the index in the path must be an integer from 0 to 2^63 - 1"),
    ("/images/{digest}/7/99999999999999999999.png", HOW),
    ("/images/{DIGEST}/7/5.png", "this server draws from the generator {digest}, not from another: see /model"),
    ("/images/" + "0" * 64 + "/7/5.png", "this server draws from the generator {digest}, not from another: see /model"),
    ("/images/%2e%2e/7/5.png", "this server draws from the generator {digest}, not from another: see /model"),
    ("/shards/{digest}/7/5-3.tar", "a shard is FIRST-LAST, and 3 is less than 5"),
    ("/shards/{digest}/7/0-1000000.tar", "a shard holds at most 1,000,000 images, and this one would hold 1,000,001"),
    ("/shards/{digest}/7/1-2-3.tar", HOW),
    ("/shards/{digest}/7/0-9223372036854775808.tar", "the last index in the path must be"),
    ("/shards/x/y/" + "-" * 7000, HOW),
]


@pytest.mark.parametrize(("path", "sentence"), ADDRESSES)
def test_a_url_that_is_no_address_is_a_404(server: Server, engine: Engine, path: str, sentence: str) -> None:
    names = {"digest": engine.digest, "DIGEST": engine.digest.upper()}
    (reply,) = exchange(server, request("GET", path.format(**names)))
    assert reply.status == 404
    assert json.loads(reply.body)["error"]["message"].startswith(sentence.format(**names))
    (head,) = exchange(server, request("HEAD", path.format(**names)))
    assert (head.status, head.body) == (404, b"")


@pytest.mark.parametrize("path", ["/shards/x/y/" + "-" * 60_000, "/" + "a/" * 30_000, "/model?" + "&" * 60_000])
def test_a_path_that_nothing_has_is_refused_for_its_length(server: Server, path: str) -> None:
    """Before any route is tried: the first of these took 40 s of the server."""
    (reply,) = exchange(server, request("GET", path), seconds=20)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (414, "target_too_long")


def test_the_longest_paths_cost_no_more_than_their_length() -> None:
    """A route that tried each place of a path would take four times as long for twice the length."""
    app = create_app()
    seconds = []
    for length in (500_000, 2_000_000):
        begin = time.thread_time()
        for route in app.routes[:-1]:
            for part in ("-", "1", "1-", "/", "0/"):
                assert not route.path_regex.fullmatch("/shards/x/1/" + part * (length // len(part)))  # type: ignore[attr-defined]
        seconds.append(time.thread_time() - begin)
    assert seconds[1] < 10 * seconds[0] + 0.5


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
