"""Requests that are wrong, or nearly: each is answered with the status and the sentence that put whoever sent it right."""

import asyncio
import io
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from drawwell.addresses.latents import latents
from drawwell.engine.engine import Engine
from drawwell_serve.http.body import MAX_BODY_BYTES
from tests.conftest import Server, StartServer
from tests.raw import exchange, request
from tests.serve.behind import asked

MOST = 1000
JSON = {"Content_Type": "application/json"}
TYPE = {"Content-Type": "application/json"}
NPY = {"Accept": "application/x-npy"}
HEAD = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PATHS_OF_OURS = re.compile(r"Traceback|\.py\b|site-packages|/(root|home|tmp|usr|work)/")


@pytest.fixture(scope="module")
def engine(tiny_generator: Path) -> Engine:
    return Engine(tiny_generator)


@pytest.fixture(scope="module")
def server(start_server: StartServer, tiny_generator: Path) -> Server:
    """One that waits a second for a request, where a test waits for it to end."""
    return start_server(tiny_generator, DRAWWELL_READ_SECONDS="1", DRAWWELL_MAX_COUNT=str(MOST))


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def row(*first: str, of: int = 100) -> bytes:
    """A body with one row of latents."""
    return b'{"latents": [[' + ", ".join((*first, *["0"] * (of - len(first)))).encode() + b"]]}"


def way(start: str = '{"seed": 1, "index": 2}', end: str = '{"seed": 1, "index": 3}', steps: str = "3") -> str:
    return f'{{"from": {start}, "to": {end}, "steps": {steps}}}'


TWICE = "the body gives a field twice"
EITHER = "replaces seed, count, start and indices: give one or the other"
WRONG = [
    (b'{"seed": 1, "seed": 2}', 400, None, TWICE),
    (rb'{"seed": 1, "\u0073eed": 2}', 400, None, TWICE),
    (b'{"interpolate": %b}' % way(end='{"seed": 1, "index": 3, "index": 4}').encode(), 400, None, TWICE),
    (b'{"interpolate": %b}' % way(steps='3, "steps": 4').encode(), 400, None, TWICE),
    (b'{"interpolate": %b, "interpolate": %b}' % ((way().encode(),) * 2), 400, None, TWICE),
    (b'{"truncation": NaN}', 400, None, "the body is not valid JSON: invalid character (byte 15)"),
    (b'{"truncation": Infinity}', 400, None, "the body is not valid JSON: invalid character (byte 15)"),
    (b'{"seed": 01}', 400, None, "the body is not valid JSON: invalid number (byte 10)"),
    (b'{"seed": 1,}', 400, None, "the body is not valid JSON: trailing comma in object (byte 11)"),
    (b"{'seed': 1}", 400, None, "the body is not valid JSON: object keys must be strings (byte 1)"),
    (b'{"seed": 1} {}', 400, None, "the body is not valid JSON: trailing characters"),
    (b'{"seed": 1}\0', 400, None, "the body is not valid JSON: trailing characters"),
    (b'{"s\xff": 1}', 400, None, "the body is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 1"),
    ('{"seed": 1}'.encode("utf-16"), 400, None, "the body is not valid JSON: invalid character (byte 0)"),
    (b'{"seed": "\xff"}', 422, "seed", "seed: Expected `int`, got `str`"),
    (b'{"seed": ' + b"9" * 5000 + b"}", 422, "seed", "seed: Integer value out of range"),
    (b'{"seed": -' + b"9" * 5000 + b"}", 422, "seed", "seed: Integer value out of range"),
    (b'{"start": 9223372036854775807, "count": 2}', 422, "start", "start and count reach past the last index, 2^63 - 1"),
    (b'{"indices": [5, -1]}', 422, "indices", "indices[1]: Expected `int` >= 0"),
    (b'{"' + b"long" * 100_000 + b'": 1}', 422, None, "Object contains unknown field `longlong"),
    (b'{"seed": ' + b"[" * 100_000, 422, "seed", "seed: Expected `int`, got `array`"),
    (b'{"latents": ' + b"[" * 100_000, 400, None, "the body is not valid JSON: maximum recursion depth exceeded"),
    (row("1", "[" * 300 + "1" + "]" * 300), 422, "latents", "latents[0][1]: Expected `float`, got `array`"),
    (row("1", '{"a": 1}'), 422, "latents", "latents[0][1]: Expected `float`, got `object`"),
    (row("1", "true"), 422, "latents", "latents[0][1]: Expected `float`, got `bool`"),
    (row("1", '"a, b"', of=99), 422, "latents", "latents[0][1]: Expected `float`, got `str`"),
    (row("1", "01"), 400, None, "the body is not valid JSON: invalid number"),
    (row("1", "NaN"), 400, None, "the body is not valid JSON: invalid character"),
    (row("1", "9" * 5000), 422, "latents", "latents[0][1]: Number out of range"),
    (b'{"latents": [1]}', 422, "latents", "latents[0]: Expected `array`, got `int`"),
    (b'{"latents": ["1"]}', 422, "latents", "latents[0]: Expected `array`, got `str`"),
    (b'{"interpolate": ' + b'{"from": ' * 9, 422, "interpolate", "interpolate.from: Object contains unknown field `from`"),
    (b'{"interpolate": ' + b'{"from": ' * 100_000, 400, None, "the body has 100,001 fields, and 18 are known"),
    (b'{' + b'"truncation":1e-320,' * 100_000 + b'"seed":1}', 400, None, "the body has 100,001 fields, and 18 are known"),
    (b'{"latents": [{' + b'"a":1e-320,' * 100_000 + b'"b":1}]}', 400, None, "the body has 100,002 fields, and 18 are known"),
    (b'{"truncation": 0}', 422, "truncation", "truncation: Expected `float` > 0.0"),
    (b'{"truncation": -0.5}', 422, "truncation", "truncation: Expected `float` > 0.0"),
    (b'{"truncation": 1.5}', 422, "truncation", "truncation: Expected `float` <= 1.0"),
    (b'{"truncation": 1e400}', 422, "truncation", "truncation: Number out of range"),
    (row("1", "1e400"), 422, "latents", "latents[0][1]: Number out of range"),
    (row("1", "-1e39"), 422, "latents", "every number must be finite, also as float32"),
    (row("1", '"1"'), 422, "latents", "latents[0][1]: Expected `float`, got `str`"),
    (row(of=99), 422, "latents", "row 0 has 99 numbers, and this generator takes 100"),
    (row(of=101), 422, "latents", "row 0 has 101 numbers, and this generator takes 100"),
    (b'{"latents": [[]]}', 422, "latents", "row 0 has 0 numbers, and this generator takes 100"),
    (b'{"latents": []}', 422, "latents", "latents: Expected `array` of length >= 1"),
    (json.dumps({"latents": [[0]] * 513}).encode(), 422, "latents", "latents: Expected `array` of length <= 512"),
    (row()[:-1] + b', "seed": 7}', 422, "latents", f"latents {EITHER}"),
    (row()[:-1] + b', "interpolate": %b}' % way().encode(), 422, "interpolate", "give latents or interpolate, not both"),
    (b'{"seed": 7, "interpolate": %b}' % way().encode(), 422, "interpolate", f"interpolate {EITHER}"),
    (b'{"interpolate": %b}' % way(steps="1").encode(), 422, "interpolate", "interpolate.steps: Expected `int` >= 2"),
    (b'{"interpolate": %b}' % way(steps="513").encode(), 422, "interpolate", "interpolate.steps: Expected `int` <= 512"),
    (b'{"interpolate": %b}' % way('{"seed": -1, "index": 2}').encode(), 422, "interpolate", "interpolate.from.seed: Expected `int` >= 0"),
    (b'{"interpolate": %b}' % way(end='{"seed": 1}').encode(), 422, "interpolate", "interpolate.to: Object missing required field `index`"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "field", "sentence"), WRONG, ids=lambda value: repr(value)[:60])
def test_a_wrong_body_is_answered_with_what_is_wrong(
    http: httpx.Client, body: bytes, status: int, field: str | None, sentence: str
) -> None:
    answer = http.post("/generate", content=body, headers={"Content-Type": "application/json"})
    error = answer.json()["error"]
    assert error["message"].startswith(sentence)
    assert (answer.status_code, error.get("field")) == (status, field)
    assert len(answer.content) < 500
    assert not PATHS_OF_OURS.search(answer.text)


SLOW_NUMBERS = [
    "1e-320",
    "2.2250738585072011e-308",
    "9007199254740993." + "0" * 300 + "1",
    "0." + "1" * 700,
    "9" * 4000,
]
"""Which a decoder may take long for."""


@pytest.mark.parametrize("number", SLOW_NUMBERS, ids=lambda number: number[:9])
def test_no_body_keeps_others_waiting(http: httpx.Client, server: Server, number: str) -> None:
    """2 MB of such numbers, in rows that are too long or just right, or where integers belong: probes are answered meanwhile."""
    one = ", ".join([number] * (MAX_BODY_BYTES // (len(number) + 2) - 100))
    rows = ", ".join([f"[{', '.join([number] * 100)}]"] * min(512, MAX_BODY_BYTES // (102 * (len(number) + 2))))
    bodies = [
        f'{{"latents": [[{one}]]}}',
        f'{{"latents": [{rows}]}}',
        f'{{"indices": [{one}]}}',
        f'{{"labels": [{one}]}}',
        "{" + f'"truncation": {number},' * (MAX_BODY_BYTES // (len(number) + 17) - 1) + '"seed": 7}',
    ]
    with ThreadPoolExecutor(len(bodies)) as pool:
        sent = [pool.submit(http.post, "/generate", content=body, headers=TYPE) for body in bodies]
        waited = []
        while not all(one.done() for one in sent):
            begin = time.perf_counter()
            assert httpx.get(f"{server.url}/livez", timeout=60).is_success
            waited.append(time.perf_counter() - begin)
    assert {one.result().status_code for one in sent} <= {200, 400, 422}
    assert max(waited, default=0) < 2


def test_stalled_bodies_shut_nobody_out(tiny_generator: Path) -> None:
    """Forty that are nearly whole take all the memory that there is for long bodies: short ones and quick ones are read."""

    async def ask(http: httpx.AsyncClient) -> list[int]:
        ended = asyncio.Event()

        async def stalled() -> AsyncIterator[bytes]:
            yield b" " * (MAX_BODY_BYTES - 1)
            await ended.wait()
            yield b"x"

        several = [asyncio.create_task(http.post("/generate", content=stalled(), headers=TYPE)) for _ in range(40)]
        await asyncio.sleep(0.5)
        quick = [b'{"seed": 7}' + b" " * more for more in (0, MAX_BODY_BYTES - 11)]
        answers = [await http.post("/generate", content=body, headers=TYPE) for body in quick]
        ended.set()
        return [one.status_code for one in (*answers, *await asyncio.gather(*several))]

    short, long, *others = asked(tiny_generator, ask)
    assert (short, long) == (200, 200)
    assert Counter(others) == {503: 9, 400: 31}


NO_REQUEST, CUT = "this is not a valid HTTP request", "the body is not valid JSON: Input data was truncated"
FRAMING = "the chunk sizes and trailer fields of the body are larger than 65,536 bytes"
FIELDS = "the request has more than 100 header and trailer fields"
FRAMES = [
    (b'Content-Length: 5\r\n\r\n{"seed": 7}', 400, CUT),
    (b'Content-Length: 20\r\n\r\n{"seed": 7}', 408, "the body did not arrive within 1 seconds"),
    (b"Content-Length: 999999999999\r\n\r\n{}", 408, "the body did not arrive within 1 seconds"),
    (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", 408, "the body did not arrive within 1 seconds"),
    (b"Content-Length: 99999999999999999999999\r\n\r\n{}", 400, NO_REQUEST),
    (b"Content-Length: -2\r\n\r\n{}", 400, NO_REQUEST),
    (b"Content-Length: +2\r\n\r\n{}", 400, NO_REQUEST),
    (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, NO_REQUEST),
    (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400, NO_REQUEST),
    (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, NO_REQUEST),
    (b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 300_000, 431, FRAMING),
    (b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 50_000, 431, FRAMING),
    (b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 50_000, 431, FIELDS),
    (b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 99, 431, FIELDS),
    (b"a: b\r\n" * 100, 431, FIELDS),
    (b"X: " + b"x" * 300_000, 431, "the head of the request is larger than 65,536 bytes"),
    (b"X: ", 408, "the head of the request did not arrive within 1 seconds"),
    (
        b"Content-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n\x1f\x8b",
        415,
        "send the body uncompressed: the server reads no Content-Encoding (gzip)",
    ),
]


@pytest.mark.parametrize(("rest", "status", "sentence"), FRAMES, ids=lambda value: repr(value)[:60])
def test_a_wrong_frame_is_answered_too(server: Server, rest: bytes, status: int, sentence: str) -> None:
    (reply,) = exchange(server, HEAD, rest, seconds=10)
    assert reply.status == status
    assert json.loads(reply.body)["error"]["message"].startswith(sentence)


def test_what_follows_a_request_does_not_end_up_in_its_reply(server: Server, engine: Engine) -> None:
    body = b'{"seed": 7, "count": 1000}'
    whole, *after = exchange(
        server,
        HEAD + b"Accept: application/x-npy\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
        b"\0rubbish\r\n\r\n",
    )
    np.testing.assert_array_equal(np.load(io.BytesIO(whole.body)), engine.generate(7, 1000).images)
    assert [reply.status for reply in after] in ([], [400])


def test_continue_is_said_before_the_body_is_sent(server: Server) -> None:
    go_on, reply = exchange(server, request("POST", "/generate", b"{}", Expect="100-continue", **JSON))
    assert (go_on.status, reply.status) == (100, 200)
    (reply,) = exchange(server, request("POST", "/generate", b"{}", Expect="100-continue"))
    assert reply.status == 415


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0, h2c"])
@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, Upgrade, HTTP2-Settings", "Upgrade, close"])
def test_an_upgrade_is_answered_as_if_not_asked_for(server: Server, protocol: str, connection: str) -> None:
    body = b'{"seed": 7}'
    asking = f"Connection: {connection}\r\nUpgrade: {protocol}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    upgraded, *_ = exchange(
        server, HEAD + asking + body[:5], body[5:], b"" if "close" in connection else request("GET", "/livez")
    )
    (plain,) = exchange(server, request("POST", "/generate", body, **JSON))
    assert (upgraded.status, upgraded.body) == (200, plain.body)


def test_what_names_no_address_draws_the_same_pixels(http: httpx.Client, engine: Engine) -> None:
    """Latents of an address sent in, the ends of an interpolation, and a truncation of 1 are what they name."""
    card, wanted = engine.card, engine.generate(7, indices=[5, 99]).images
    z = latents(7, [5, 99], card.latent_dim, card.prior)
    ends = {"from": {"seed": 7, "index": 5}, "to": {"seed": 7, "index": 99}, "steps": 9}
    for body in ({"latents": z.tolist()}, {"interpolate": ends}, {"seed": 7, "indices": [5, 99], "truncation": 1}):
        images = np.load(io.BytesIO(http.post("/generate", json=body, headers=NPY).raise_for_status().content))
        np.testing.assert_array_equal(images[[0, -1]], wanted)
