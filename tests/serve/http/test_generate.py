"""`POST /generate` of a real `bentoml serve` over the loopback."""

import base64
import concurrent.futures
import hashlib
import io
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from drawwell.engine.engine import Engine
from drawwell.formats.npy import FOOTER_BYTES, FOOTER_MAGIC
from drawwell.formats.png import contact_sheet
from drawwell_serve.http.formats import FORMATS, StreamFormat
from tests.conftest import Server

NPY = {"Accept": "application/x-npy"}


@pytest.fixture(scope="module")
def engine(tiny_generator: Path) -> Engine:
    return Engine(tiny_generator)


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture)


def test_json_is_the_default_and_gives_addresses_and_pngs(http: httpx.Client, engine: Engine) -> None:
    answer = http.post("/generate", json={"seed": 7, "count": 3, "start": 5})
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert (body["digest"], body["seed"], body["count"]) == (engine.digest, 7, 3)
    assert [image["index"] for image in body["images"]] == [5, 6, 7]
    wanted = engine.generate(7, 3, start=5).images
    for image, expected in zip(body["images"], wanted, strict=True):
        np.testing.assert_array_equal(pixels(base64.b64decode(image["png"])), expected[..., 0])


def test_png_is_the_image_or_a_sheet(http: httpx.Client, engine: Engine) -> None:
    wanted = engine.generate(7, 10).images
    one = http.post("/generate", json={"seed": 7, "start": 4}, headers={"Accept": "image/png"})
    assert one.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(pixels(one.content), wanted[4, ..., 0])
    sheet = http.post("/generate", json={"seed": 7, "count": 10}, headers={"Accept": "image/png"})
    np.testing.assert_array_equal(pixels(sheet.content), contact_sheet(wanted)[..., 0])


def test_npy_is_the_array_and_its_checksum(http: httpx.Client, engine: Engine) -> None:
    answer = http.post("/generate", json={"seed": 7, "count": 200}, headers=NPY)
    assert answer.headers["content-type"] == "application/x-npy"
    images = np.load(io.BytesIO(answer.content))
    np.testing.assert_array_equal(images, engine.generate(7, 200).images)
    assert answer.content[-32:] == hashlib.sha256(images.tobytes()).digest()
    assert answer.content[-40:-32] == FOOTER_MAGIC
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("count", [3, 5000])
def test_npy_without_a_footer_ends_with_the_last_pixel(http: httpx.Client, count: int) -> None:
    body = {"seed": 7, "count": count}
    plain = http.post("/generate", json=body, headers={"Accept": "application/x-npy;footer=no"})
    assert plain.headers["content-type"] == "application/x-npy;footer=no"
    assert int(plain.headers["content-length"]) == len(plain.content)
    assert plain.content == http.post("/generate", json=body, headers=NPY).content[:-FOOTER_BYTES]


@pytest.mark.parametrize("accept", FORMATS)
def test_a_reply_that_is_not_streamed_has_a_digest(http: httpx.Client, accept: str) -> None:
    answer = http.post("/generate", json={"seed": 7, "count": 3}, headers={"Accept": accept})
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["content-digest"] == f"sha-256=:{digest}:"
    if issubclass(FORMATS[accept], StreamFormat):
        long = http.post("/generate", json={"seed": 7, "count": 5000}, headers={"Accept": accept})
        assert long.is_success and "content-digest" not in long.headers


def test_every_form_names_what_it_is_of(http: httpx.Client, engine: Engine) -> None:
    for accept in ("application/json", "image/png", "application/x-npy"):
        headers = http.post("/generate", json={"seed": 7, "count": 2, "start": 3}, headers={"Accept": accept}).headers
        assert headers["x-drawwell-digest"] == engine.digest
        assert (headers["x-drawwell-seed"], headers["x-drawwell-start"], headers["x-drawwell-count"]) == ("7", "3", "2")
        assert headers["x-drawwell-provider"] == engine.provider
        assert headers["x-drawwell-fingerprint"] == engine.fingerprint


def test_a_seed_left_out_is_drawn_and_named(http: httpx.Client) -> None:
    first, second = (http.post("/generate", json={}, headers=NPY) for _ in range(2))
    assert first.headers["x-drawwell-seed"] != second.headers["x-drawwell-seed"]
    again = http.post("/generate", json={"seed": int(first.headers["x-drawwell-seed"])}, headers=NPY)
    assert again.content == first.content


def test_indices_are_drawn_in_their_order(http: httpx.Client, engine: Engine) -> None:
    answer = http.post("/generate", json={"seed": 7, "indices": [5, 99, 3, 5]}, headers=NPY)
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), engine.generate(7, indices=[5, 99, 3, 5]).images)
    assert "x-drawwell-start" not in answer.headers
    assert answer.headers["x-drawwell-indices"] == hashlib.sha256(np.array([5, 99, 3, 5], "<i8").tobytes()).hexdigest()
    assert [image["index"] for image in http.post("/generate", json={"indices": [9, 2**63 - 1]}).json()["images"]] == [
        9,
        2**63 - 1,
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**63 - 1), start=st.integers(0, 2**62), cut=st.integers(1, 99))
def test_two_calls_are_one(http: httpx.Client, seed: int, start: int, cut: int) -> None:
    def draw(first: int, count: int) -> np.ndarray:
        answer = http.post("/generate", json={"seed": seed, "start": first, "count": count}, headers=NPY)
        images: np.ndarray = np.load(io.BytesIO(answer.content))
        return images

    np.testing.assert_array_equal(np.concatenate([draw(start, cut), draw(start + cut, 100 - cut)]), draw(start, 100))


def test_many_at_once_do_not_mix(http: httpx.Client, engine: Engine) -> None:
    def draw(seed: int) -> bytes:
        return http.post("/generate", json={"seed": seed, "count": 100}, headers=NPY).content

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for seed, content in enumerate(pool.map(draw, range(48))):
            np.testing.assert_array_equal(np.load(io.BytesIO(content)), engine.generate(seed, 100).images)


def test_the_loop_answers_while_a_long_request_is_drawn(http: httpx.Client, server: Server) -> None:
    body = json.dumps({"seed": 1, "count": 1_000_000}).encode()
    with connected(server) as slow:
        slow.sendall(HEAD + b"Accept: application/x-npy\r\n" + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert slow.recv(12) == b"HTTP/1.1 200"
        for _ in range(20):
            assert http.get("/livez", timeout=5).is_success
        small = http.post("/generate", json={"seed": 7, "count": 1}, timeout=10)
        assert small.is_success
    assert http.post("/generate", json={"seed": 7, "count": 64}, timeout=10).is_success


WRONG = [
    (b"", 400, "empty_body", None),
    (b"  \n", 400, "empty_body", None),
    (b"{", 400, "malformed_json", None),
    (b'{"seed": NaN}', 400, "malformed_json", None),
    (b'{"seed": 1}}', 400, "malformed_json", None),
    (b"\xff\xfe", 400, "malformed_json", None),
    (b"[" * 100_000, 422, "invalid_field", None),
    (b'{"seed":' + b"[" * 100_000, 422, "invalid_field", "seed"),
    (b"[1]", 422, "invalid_field", None),
    (b"null", 422, "invalid_field", None),
    (b'"seed"', 422, "invalid_field", None),
    (b'{"sed": 7}', 422, "invalid_field", "sed"),
    (b'{"seed": "7"}', 422, "invalid_field", "seed"),
    (b'{"seed": 7.0}', 422, "invalid_field", "seed"),
    (b'{"seed": 7e0}', 422, "invalid_field", "seed"),
    (b'{"seed": true}', 422, "invalid_field", "seed"),
    (b'{"seed": null}', 422, "invalid_field", "seed"),
    (b'{"seed": -1}', 422, "invalid_field", "seed"),
    (b'{"seed": 9223372036854775808}', 422, "invalid_field", "seed"),
    (b'{"seed": ' + b"9" * 5000 + b"}", 422, "invalid_field", "seed"),
    (b'{"count": 0}', 422, "invalid_field", "count"),
    (b'{"count": -5}', 422, "invalid_field", "count"),
    (b'{"count": "5"}', 422, "invalid_field", "count"),
    (b'{"count": 1000001}', 422, "invalid_field", "count"),
    (b'{"count": 99999999999999999999999}', 422, "invalid_field", "count"),
    (b'{"start": -1}', 422, "invalid_field", "start"),
    (b'{"start": 9223372036854775807, "count": 2}', 422, "invalid_field", "start"),
    (b'{"indices": []}', 422, "invalid_field", "indices"),
    (b'{"indices": [1, -1]}', 422, "invalid_field", "indices"),
    (b'{"indices": [1, "2"]}', 422, "invalid_field", "indices"),
    (b'{"indices": 3}', 422, "invalid_field", "indices"),
    (b'{"indices": [1], "count": 2}', 422, "invalid_field", "indices"),
    (b'{"indices": [1], "start": 0}', 422, "invalid_field", "indices"),
    (json.dumps({"indices": [0] * 65_537}).encode(), 422, "invalid_field", "indices"),
    (b'{"count": 257}', 400, "too_many_for_this_form", "count"),
    (b" " * (2 * 2**20 + 1), 413, "body_too_large", None),
]


@pytest.mark.parametrize(("body", "status", "code", "field"), WRONG, ids=lambda value: repr(value)[:40])
def test_a_wrong_body_is_explained(http: httpx.Client, body: bytes, status: int, code: str, field: str | None) -> None:
    answer = http.post("/generate", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["code"], error.get("field")) == (code, field)
    assert len(error["message"]) > 10
    assert "Traceback" not in answer.text
    assert "/" not in re.sub("application/x?-?[a-z]+", "", error["message"])


def test_too_many_for_a_picture_names_the_form_that_holds_them(http: httpx.Client) -> None:
    for accept in ("application/json", "image/png"):
        answer = http.post("/generate", json={"count": 257}, headers={"Accept": accept})
        assert answer.status_code == 400
        assert "application/x-npy" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonx"],
)
def test_a_wrong_content_type_is_a_415(http: httpx.Client, kind: str) -> None:
    answer = http.post("/generate", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "unsupported_media_type"


def test_json_with_a_charset_is_json(http: httpx.Client) -> None:
    assert http.post("/generate", content=b"{}", headers={"Content-Type": "Application/JSON; charset=utf-8"}).is_success


def test_an_encoded_body_is_a_415(http: httpx.Client) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert http.post("/generate", content=b"\x1f\x8b", headers=headers).status_code == 415


def connected(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


HEAD = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_a_chunked_body_is_counted_too(server: Server) -> None:
    with connected(server) as raw:
        raw.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(33):  # 2 MiB and 64 KiB
            raw.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        assert raw.recv(12) == b"HTTP/1.1 413"


def test_a_body_that_stops_coming_is_a_408(server: Server) -> None:
    with connected(server) as raw:
        raw.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        answer = raw.recv(65_536)
        while b"}}" not in answer:
            answer += raw.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_too_slow" in answer


def test_a_client_that_hangs_up_is_no_fault_of_the_servers(server: Server, http: httpx.Client) -> None:
    before = server.log.read_text()
    for _ in range(3):
        with connected(server) as raw:
            raw.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    assert http.post("/generate", json={}).is_success
    assert "Traceback" not in server.log.read_text().removeprefix(before)
    assert 'http_response_code="500"' not in http.get("/metrics").text


def test_two_accept_headers_are_one_list(http: httpx.Client) -> None:
    answer = http.post("/generate", json={}, headers=[("Accept", "text/html"), ("Accept", "image/png")])
    assert answer.headers["content-type"] == "image/png"


def test_nothing_acceptable_is_a_406(http: httpx.Client) -> None:
    answer = http.post("/generate", json={}, headers={"Accept": "text/html"})
    assert answer.status_code == 406
    assert "application/x-npy" in answer.json()["error"]["message"]


def test_an_accidental_get_says_what_is_allowed(http: httpx.Client) -> None:
    answer = http.get("/generate")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("POST", "/nothing"), ("DELETE", "/nothing/at/all")])
def test_an_unknown_path_is_a_404_in_json(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
