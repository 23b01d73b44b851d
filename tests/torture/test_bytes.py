"""The same address gives the same bytes: whoever else is served, however it is asked for, whatever the server was doing before."""

import base64
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from drawwell.engine.engine import Engine
from drawwell.formats.npy import NPY_TYPE, Npy
from drawwell.formats.png import contact_sheet, to_png
from drawwell.generator import Batch
from drawwell.opening import find_file
from tests.conftest import Server, StartServer, drawwell

from .conftest import Record, times
from .load import Asked, asked, npy, under_load

GENERATOR = "fashion"
COMPANIONS = 6
JSON, PNG, TAR, ZIP = "application/json", "image/png", "application/x-tar", "application/zip"
FORMATS = (JSON, PNG, NPY_TYPE, TAR, ZIP)

numbers = st.integers(0, 2**63 - 1)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(find_file(GENERATOR))


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(GENERATOR)


@pytest.fixture(scope="module")
def odd(engine: Engine) -> list[list[Asked]]:
    """What companions ask for: requests of odd sizes, which are drawn together with ours."""
    chance = random.Random(8)
    sizes = (1, 2, 3, 7, 33, 65, 127)
    return [[asked(engine, chance.randrange(2**63), chance.choice(sizes)) for _ in range(5)] for _ in range(COMPANIONS)]


@pytest.fixture
def busy(server: Server, odd: list[list[Asked]]) -> Iterator[httpx.Client]:
    """A client of a server that draws for others all the time."""
    with _companions(server, odd), httpx.Client(base_url=server.url, timeout=60) as http:
        yield http


def test_every_form_has_the_pixels_of_the_local_engine(busy: httpx.Client, engine: Engine, record: Record) -> None:
    """Random addresses, among companions that change all the time: every format has the pixels of a local engine, and the same PNGs."""
    examples = times(2000, 20)

    @settings(deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(seed=numbers, indices=st.lists(numbers, min_size=1, max_size=40))
    def every_form(seed: int, indices: list[int]) -> None:
        batch = engine.generate(seed, indices=indices)
        _check_forms(busy, {"seed": seed, "indices": indices}, batch)
        _check_address(busy, engine, seed, indices[0], batch.images[0])

    every_form()
    record(count=examples, other_bytes=0, companions=COMPANIONS)


def test_any_count_from_any_start_is_the_same_images(busy: httpx.Client, engine: Engine, record: Record) -> None:
    """Random stretches, in one request or in two, are the same bytes as the local engine's."""
    examples = times(2000, 20)

    @settings(deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(seed=numbers, start=st.integers(0, 2**62), cut=st.integers(1, 300), rest=st.integers(1, 300))
    def stretch(seed: int, start: int, cut: int, rest: int) -> None:
        drawn = engine.generate(seed, cut + rest, start)
        whole, first, second = (
            _post(busy, {"seed": seed, "start": begin, "count": count}, NPY_TYPE)
            for begin, count in ((start, cut + rest), (start, cut), (start + cut, rest))
        )
        assert whole == npy(drawn)
        shape = drawn.images.shape[1:]
        parts = [Npy.decode(first, (cut, *shape)), Npy.decode(second, (rest, *shape))]
        np.testing.assert_array_equal(np.concatenate(parts), drawn.images)

    stretch()
    record(count=examples, other_bytes=0, companions=COMPANIONS)


def test_a_file_is_the_same_wherever_it_comes_from(server: Server, engine: Engine, tmp_path: Path) -> None:
    """POST, GET /shards and `drawwell generate`, of a name or a URL, make the same archives and arrays, byte for byte."""
    seed, first, count = 7, 5, 700
    options = ["--seed", str(seed), "--start", str(first), "--count", str(count)]
    ways = (
        ("a.tar", TAR, GENERATOR),
        ("b.tar", TAR, server.url),
        ("a.zip", ZIP, server.url),
        ("a.npy", NPY_TYPE, GENERATOR),
    )
    with httpx.Client(base_url=server.url, timeout=60) as http:
        for name, media_type, generator in ways:
            drawwell("generate", generator, *options, "--out", str(tmp_path / name))
            sent = _post(http, {"seed": seed, "start": first, "count": count}, media_type)
            assert (tmp_path / name).read_bytes() == sent
        shard = http.get(f"/shards/{engine.digest}/{seed}/{first}-{first + count - 1}.tar").raise_for_status()
    assert shard.content == (tmp_path / "a.tar").read_bytes()


def test_other_workers_threads_and_a_restart_change_no_byte(
    start_server: StartServer, server: Server, odd: list[list[Asked]], record: Record
) -> None:
    """Servers with other workers and threads, and one that was started again, send the same bytes in every format."""
    requests, others = times(300, 20), [{"DRAWWELL_WORKERS": "2"}, {"DRAWWELL_THREADS": "1"}, {}][: times(3, 1)]
    replies = _replies(server, requests)
    for variables in others:
        with _companions(other := start_server(GENERATOR, **variables), odd):
            assert _replies(other, requests) == replies
        other.process.terminate()
        assert other.process.wait(60) == 0
    record(count=requests, formats=len(FORMATS), servers=1 + len(others), other_bytes=0)


def _replies(server: Server, count: int) -> list[bytes]:
    """The replies to always the same random requests, each in one of the formats."""
    chance = random.Random(7)
    with httpx.Client(base_url=server.url, timeout=60) as http:
        return [
            _post(http, {"seed": chance.randrange(2**63), "count": chance.randint(1, 200)}, FORMATS[n % len(FORMATS)])
            for n in range(count)
        ]


def _check_forms(http: httpx.Client, body: Mapping[str, object], batch: Batch) -> None:
    assert batch.labels is not None
    images, labels = batch.images, batch.labels.tolist()
    pngs = [to_png(image) for image in images]
    files = [content for label, png in zip(labels, pngs, strict=True) for content in (str(label).encode(), png)]
    np.testing.assert_array_equal(np.stack([_decoded(png) for png in pngs]), images[..., 0])
    listed = json.loads(_post(http, body, JSON))["images"]
    assert [base64.b64decode(image["png"]) for image in listed] == pngs
    assert [image["label"] for image in listed] == labels
    assert _post(http, body, PNG) == to_png(images[0] if len(images) == 1 else contact_sheet(images))
    np.testing.assert_array_equal(Npy.decode(_post(http, body, NPY_TYPE), images.shape), images)
    with tarfile.open(fileobj=io.BytesIO(_post(http, body, TAR))) as tar:
        assert [content.read() for name in tar if (content := tar.extractfile(name))][:-1] == files
    with zipfile.ZipFile(io.BytesIO(_post(http, body, ZIP))) as archive:
        assert [archive.open(info).read() for info in archive.infolist()][:-1] == files


def _check_address(http: httpx.Client, engine: Engine, seed: int, index: int, image: npt.NDArray[np.uint8]) -> None:
    one = http.get(f"/images/{engine.digest}/{seed}/{index}.png").raise_for_status()
    assert one.content == to_png(image)
    shard = http.get(f"/shards/{engine.digest}/{seed}/{index}-{index}.tar").raise_for_status()
    assert shard.content == _post(http, {"seed": seed, "start": index, "count": 1}, TAR)


def _post(http: httpx.Client, body: Mapping[str, object], media_type: str) -> bytes:
    return http.post("/generate", json=body, headers={"Accept": media_type}).raise_for_status().content


def _decoded(png: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture)


@contextmanager
def _companions(server: Server, odd: list[list[Asked]]) -> Iterator[None]:
    """Clients that ask meanwhile, and whose replies are right, too."""
    clients = [(requests, number % 2 == 0) for number, requests in enumerate(odd)]
    with under_load(server.url, clients) as seen:
        yield
    assert set(seen.kinds) == {"whole"}, seen.kinds
