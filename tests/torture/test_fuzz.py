"""Rubbish on raw connections."""

import asyncio
import random
import re
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest

from drawwell.engine.engine import Engine
from drawwell.opening import find_file
from tests.conftest import ROOT, Server, StartServer
from tests.raw import Reply, replies, request

from .conftest import Record, times
from .mutations import mutated

GENERATOR = "fashion"
SEED = 7
AT_ONCE = 100
LIMIT_SECONDS = 30
"""Of a connection on a busy machine: heads and bodies have a second, idle connections five."""
OURS = re.compile(rb"Traceback \(most|site-packages|\.py\", line|root:x:0:|" + re.escape(str(ROOT).encode()))


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    limits = dict.fromkeys(("DRAWWELL_READ_SECONDS", "DRAWWELL_STALL_SECONDS"), "1")
    return start_server(GENERATOR, DRAWWELL_MAX_COUNT="64", DRAWWELL_KEEP_ALIVE_SECONDS="5", **limits)


@pytest.fixture(scope="module")
def valid() -> list[bytes]:
    """Requests that would be answered with 200, on connections that stay and on such that end."""
    engine = Engine(find_file(GENERATOR))
    digest = engine.digest
    engine.close()
    kind, body = "application/json", b'{"seed": 7, "count": 3}'
    several = [
        request("POST", "/generate", body, Content_Type=kind),
        request("POST", "/generate", body, Content_Type=kind, Accept="application/x-npy"),
        request("POST", "/generate", body, Content_Type=kind, Accept="application/zip;q=0.5, image/png"),
        request("POST", "/generate", b'{"seed": 7, "indices": [3, 1, 2]}', Content_Type=kind, Expect="100-continue"),
        request(
            "POST", "/generate", b'{"count": 3, "labels": [0, 9, 3]}', Content_Type=kind, Accept="application/x-tar"
        ),
        request("GET", f"/images/{digest}/7/5.png", If_None_Match='W/"x", "y"'),
        request("GET", f"/shards/{digest}/7/0-63.tar"),
        request("HEAD", f"/shards/{digest}/7/0-63.tar"),
        request("GET", f"/shards/{digest}/7/0-63.tar", Range="bytes=100-"),
        request("GET", f"/images/{digest}/7/5.png", Range="bytes=-9", If_Range='"x"'),
        *(request("GET", path) for path in ("/", "/model", "/docs.json", "/metrics", "/readyz", "/nothing")),
    ]
    return several + [one.replace(b"Connection: close\r\n", b"") for one in several]


def test_rubbish_is_answered_or_closed(server: Server, valid: list[bytes], record: Record) -> None:
    """Mutated requests on raw connections: no 5xx, no hang, nothing of the server's inside in a reply, and others are served."""
    count, statuses = times(10_000, 200), Counter[str]()
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        statuses.update(asyncio.run(_all_of(server, valid, numbers)))
        assert httpx.post(f"{server.url}/generate", json={"seed": 7}).status_code == 200
    assert "Traceback" not in server.log.read_text()
    record(count=count, seed=SEED, hung=0, statuses=dict(statuses.most_common()))


async def _all_of(server: Server, valid: list[bytes], numbers: range) -> Counter[str]:
    several = await asyncio.gather(*(_one(server, valid, number) for number in numbers))
    return Counter(status for statuses in several for status in statuses or ["closed"])


async def _one(server: Server, valid: list[bytes], number: int) -> list[str]:
    """The statuses of the replies to mutation ``number``, which the same seed makes again."""
    chance = random.Random(f"{SEED} {number}")
    sent = mutated(chance, chance.choice(valid))
    cut = chance.randrange(len(sent) + 1) if chance.random() < 0.3 else 0
    try:
        received, reset = await _exchange(server, sent[:cut], sent[cut:])
        return [str(reply.status) for reply in _checked(received, reset)]
    except (AssertionError, KeyError, ValueError, TimeoutError) as error:
        raise AssertionError(f"seed {SEED}, mutation {number}, {sent[:2000]!r}: {error!r}") from error


def _checked(received: bytes, reset: bool) -> list[Reply]:
    assert not OURS.search(received), received[:2000]
    try:
        several = replies(received)
    except (AssertionError, ValueError, KeyError):
        if not reset:  # a connection that is closed on what it did not want to read may take with it what it had said
            raise
        return []
    assert all(reply.status < 500 for reply in several), received[:2000]
    return several


async def _exchange(server: Server, *parts: bytes) -> tuple[bytes, bool]:
    """What came until the server closed, and whether it did so on bytes that it had not read."""
    address, received = urlsplit(server.url), b""
    async with asyncio.timeout(LIMIT_SECONDS):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        sending = asyncio.create_task(_send(writer, parts))
        try:
            while came := await reader.read(65536):
                received += came
            return received, False
        except ConnectionResetError:
            return received, True
        finally:
            await sending
            writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, parts: tuple[bytes, ...]) -> None:
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
    except ConnectionError:
        pass  # it has closed
