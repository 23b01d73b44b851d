"""examples/nginx.conf, the very file with other ports, by a real nginx in front of a real server."""

import concurrent.futures
import io
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import numpy as np
import pytest

import drawwell as library
from drawwell.errors import RequestError
from drawwell.formats.verify import verify
from tests.conftest import Server, StartServer
from tests.e2e.nginx import NGINX, nginx_before

pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx on the PATH")

KEY, OTHER_KEY = "a-key-of-tests", "another-key"
CHECKED_BY_NGINX = {
    "    server {": f'map $http_authorization $stranger {{ default 1; "Bearer {KEY}" 0; }}\n    server {{',
    "proxy_cache_bypass $http_authorization;": "if ($stranger) { return 401; }",
    "proxy_no_cache $http_authorization;": "proxy_ignore_headers Cache-Control; proxy_cache_valid 200 365d;",
}
"""What the comments in the file say for a cache in spite of a key."""

Front = Callable[..., str]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Start nginx in front of a server; each is ended with the module."""
    with ExitStack() as stack:
        yield lambda server, changes=None: stack.enter_context(
            nginx_before(server, tmp_path_factory.mktemp("nginx"), changes or {})
        )


@pytest.fixture(scope="module")
def url(front: Front, server: Server) -> str:
    return front(server)


@pytest.fixture(scope="module")
def locked(start_server: StartServer, tiny_generator: Path) -> Server:
    return start_server(tiny_generator, DRAWWELL_KEY=KEY)


def drawn(server: Server, key: str | None = None) -> int:
    """Images that the server itself has drawn."""
    text = httpx.get(f"{server.url}/metrics", headers=bearer(key)).text
    found = re.search(r"^drawwell_images_total (\S+)$", text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def digest_of(url: str, key: str | None = None) -> str:
    return str(httpx.get(f"{url}/model", headers=bearer(key)).json()["digest"])


@pytest.mark.parametrize("path", ["images/{}/7/5.png", "shards/{}/7/0-999.tar"])
def test_what_has_an_address_is_drawn_once(url: str, server: Server, path: str, tmp_path: Path) -> None:
    path = path.format(digest_of(url))
    first, second = (httpx.get(f"{url}/{path}") for _ in range(2))
    assert [answer.headers["X-Cache-Status"] for answer in (first, second)] == ["MISS", "HIT"]
    assert first.content == second.content == httpx.get(f"{server.url}/{path}").content
    for name in ("ETag", "Cache-Control", "Content-Type", "X-Drawwell-Fingerprint", "Content-Security-Policy"):
        assert first.headers[name] == second.headers[name] == httpx.get(f"{server.url}/{path}").headers[name]
    before = drawn(server)
    assert httpx.get(f"{url}/{path}?again").content == first.content
    known = httpx.get(f"{url}/{path}", headers={"If-None-Match": first.headers["ETag"]})
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert drawn(server) == before
    if path.endswith(".tar"):
        (tmp_path / "shard.tar").write_bytes(second.content)
        assert verify(tmp_path / "shard.tar").state == "whole"


def test_a_head_draws_nothing(url: str, server: Server) -> None:
    path, before = f"shards/{digest_of(url)}/8/0-99999.tar", drawn(server)
    assert [httpx.head(f"{url}/{path}").headers["X-Cache-Status"] for _ in range(2)] == ["MISS", "HIT"]
    assert drawn(server) == before


def test_nginx_does_not_keep_an_error_in_its_cache(url: str) -> None:
    for path in (f"images/{'0' * 64}/7/5.png", f"shards/{digest_of(url)}/7/9-5.tar"):
        answers = [httpx.get(f"{url}/{path}") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert [answer.headers["X-Cache-Status"] for answer in answers] == ["MISS", "MISS"]


def test_many_who_ask_at_once_have_one_image_drawn(url: str, server: Server) -> None:
    path, before = f"{url}/images/{digest_of(url)}/7/64.png", drawn(server)
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: httpx.get(path, timeout=60), range(64)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert drawn(server) == before + 1


def test_a_long_reply_begins_before_it_is_drawn(url: str, server: Server) -> None:
    before, asked = drawn(server), {"seed": 7, "count": 100_000}
    body = io.BytesIO()
    with httpx.stream("POST", f"{url}/generate", json=asked, headers={"Accept": "application/x-npy"}) as answer:
        for number, chunk in enumerate(answer.iter_bytes()):
            body.write(chunk)
            if number == 0:
                assert drawn(server) - before < 100_000, "it was drawn whole before it began"
    assert len(body.getvalue()) == int(answer.headers["Content-Length"])
    images = np.load(io.BytesIO(body.getvalue()))
    with closing(library.open(server.url)) as client:
        assert (client.generate(7, 100, 99_900).images == images[-100:]).all()


def test_a_post_is_asked_each_time(url: str, server: Server) -> None:
    before = drawn(server)
    for _ in range(3):
        answer = httpx.post(f"{url}/generate", json={"seed": 7, "count": 4})
        assert "X-Cache-Status" not in answer.headers
    assert drawn(server) == before + 12
    assert httpx.post(f"{url}/generate", json={"count": 0}).json()["error"]["field"] == "count"


def test_the_client_the_page_and_the_probes_work_through_it(url: str, server: Server) -> None:
    with closing(library.open(url)) as through, closing(library.open(server.url)) as straight:
        assert (through.generate(7, 5_000).images == straight.generate(7, 5_000).images).all()
    assert f"curl {url}/generate" in httpx.get(url).text
    for probe in ("livez", "readyz", "healthz"):
        assert httpx.get(f"{url}/{probe}").is_success
    assert httpx.get(f"{url}/metrics").status_code == 404


def test_half_a_head_is_closed_by_nginx(url: str, server: Server) -> None:
    before = server.log.read_text()
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as half:
        half.sendall(b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Ty")
        assert half.recv(1000) == b"", "nginx says nothing to half a head"
    said = server.log.read_text().removeprefix(before)  # lines of requests before this one may still come
    assert "/generate" not in said and "WARNING" not in said


def test_a_stalled_body_does_not_reach_the_server(url: str, server: Server) -> None:
    body = json.dumps({"seed": 4_815_162, "count": 1}).encode()
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as slow:
        slow.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1])
        time.sleep(0.5)
        text = httpx.get(f"{server.url}/metrics").text
        under_way = re.findall(
            r'^bentoml_service_request_in_progress{endpoint="/generate".*} (\S+)$', text, re.MULTILINE
        )
        assert set(under_way) <= {"0.0"}
        slow.sendall(body[-1:])
        assert slow.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_with_a_key_nothing_is_kept(front: Front, locked: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url, digest = front(locked), digest_of(locked.url, KEY)
    path, before = f"{url}/images/{digest}/7/5.png", drawn(locked, KEY)
    for key, status in ((KEY, 200), (None, 401), (OTHER_KEY, 401), (KEY, 200), (None, 401)):
        assert httpx.get(path, headers=bearer(key)).status_code == status
    assert httpx.get(path, headers=bearer(KEY)).headers["X-Cache-Status"] == "BYPASS"
    assert drawn(locked, KEY) == before + 3
    monkeypatch.setenv("DRAWWELL_KEY", KEY)
    with closing(library.open(url)) as client:
        assert len(client.generate(7, 10)) == 10
    monkeypatch.setenv("DRAWWELL_KEY", OTHER_KEY)
    with pytest.raises(RequestError, match="send the key of this server"):
        library.open(url)


def test_a_key_that_nginx_checks_too_lets_it_keep_images(front: Front, locked: Server) -> None:
    url, digest = front(locked, CHECKED_BY_NGINX), digest_of(locked.url, KEY)
    path, before = f"{url}/images/{digest}/7/6.png", drawn(locked, KEY)
    seen = [httpx.get(path, headers=bearer(key)) for key in (None, KEY, KEY, OTHER_KEY, None)]
    assert [answer.status_code for answer in seen] == [401, 200, 200, 401, 401]
    assert seen[2].headers["X-Cache-Status"] == "HIT" and seen[2].headers["Cache-Control"].startswith("private")
    assert drawn(locked, KEY) == before + 1
    assert httpx.get(f"{url}/model").status_code == 401 and httpx.get(f"{url}/readyz").is_success
