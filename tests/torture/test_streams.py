"""Long replies: memory, rate, and what becomes of one that was cut off."""

import hashlib
import itertools
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from drawwell.engine.engine import Engine
from drawwell.errors import ProviderError
from drawwell.formats.archives import RECORD, Archive, Tar, Zip
from drawwell.formats.npy import FOOTER_BYTES, FOOTER_MAGIC, NPY_TYPE, Npy
from drawwell.formats.verify import verify
from drawwell.opening import find_file
from tests.conftest import Server, StartServer

from .conftest import Record, times

SEED = 7
TENTHS = 10
MAX_GROWTH_BYTES = 64 * 2**20
FILES_AN_IMAGE = 2
"""Its label and itself."""
_PIECE_BYTES = 2**20


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The fastest of the bundled generators that draws right here."""
    try:
        return Engine(find_file("fashion-int8"))
    except ProviderError:
        return Engine(find_file("fashion"))


@pytest.fixture(scope="module")
def server(start_server: StartServer, engine: Engine) -> Server:
    return start_server("fashion-int8" if engine.card.target == "cpu-int8" else "fashion")


def test_a_long_stream_is_flat_in_memory_and_rate(
    server: Server, engine: Engine, tmp_path: Path, record: Record
) -> None:
    """A stream of a million images takes less than 64 MB of memory, at the same rate from the first tenth to the last."""
    count, file = times(1_000_000, 20_000), tmp_path / "npy"
    worker = psutil.Process(server.process.pid).children()[0]
    _receive(server, NPY_TYPE, 0, 1000, file)
    before, most, begin = worker.memory_info().rss, 0, time.perf_counter()
    seconds: list[float] = []
    with file.open("wb") as stream, _asking(server, NPY_TYPE, 0, count) as chunks:
        for chunk in chunks:
            stream.write(chunk)
            if stream.tell() >= (len(seconds) + 1) * _npy_bytes(engine, count) // TENTHS:
                seconds.append(time.perf_counter() - begin)
                most = max(most, worker.memory_info().rss)
    assert most - before < MAX_GROWTH_BYTES
    assert verify(file).state == "whole"
    assert _tail(file) == FOOTER_MAGIC + _drawn_here_sha256(engine, count)
    file.unlink()
    rates = [count / TENTHS / (later - earlier) for earlier, later in itertools.pairwise([0.0, *seconds])]
    record(
        count=count,
        megabytes_before=round(before / 1e6, 1),
        megabytes_grown=round((most - before) / 1e6, 1),
        images_a_second=round(count / seconds[-1]),
        images_a_second_by_tenth=[round(rate) for rate in rates],
        last_tenth_to_first=round(rates[-1] / rates[0], 3),
    )


def test_a_stream_that_is_cut_is_taken_up_again(server: Server, engine: Engine, tmp_path: Path, record: Record) -> None:
    """A stream of a million images that is cut at a random byte and asked for again from there has the same pixels."""
    count, chance = times(1_000_000, 20_000), random.Random(7)
    cut, rest, cut_bytes = tmp_path / "cut", tmp_path / "rest", chance.randrange(2**16, _npy_bytes(engine, count))
    _receive(server, NPY_TYPE, 0, count, cut, cut_bytes)
    there = verify(cut)
    assert there.state == "cut"
    _receive(server, NPY_TYPE, there.images, count - there.images, rest)
    assert verify(rest).state == "whole"
    sha256 = hashlib.sha256()
    for file, of, images in ((cut, count, there.images), (rest, count - there.images, count - there.images)):
        for pixels in _pixels(engine, file, of, images):
            sha256.update(pixels)
    assert sha256.digest() == _drawn_here_sha256(engine, count)
    for file in (cut, rest):
        file.unlink()
    record(count=count, cut_at_byte=cut_bytes, taken_up_at_image=there.images)


def test_an_archive_that_is_cut_is_taken_up_again(server: Server, tmp_path: Path, record: Record) -> None:
    """A tar or a zip that is cut at a random byte and asked for again from where `drawwell verify` says has the same files."""
    count, chance, cuts, megabytes = times(100_000, 1000), random.Random(7), times(10, 3), {}
    for kind in (Tar, Zip):
        whole = tmp_path / "whole"
        _receive(server, kind.media_type, 0, count, whole)
        assert (verify(whole).state, verify(whole).images) == ("whole", count)
        for _ in range(cuts):
            _cut_and_take_up(server, kind, count, chance.randrange(1, whole.stat().st_size), whole)
        megabytes[kind.__name__.lower()] = round(whole.stat().st_size / 1e6, 1)
    record(count=count, cuts_of_each=cuts, megabytes=megabytes)


def _cut_and_take_up(server: Server, kind: type[Archive], count: int, cut_bytes: int, whole: Path) -> None:
    cut, rest = whole.with_name("cut"), whole.with_name("rest")
    _receive(server, kind.media_type, 0, count, cut, cut_bytes)
    there = verify(cut)
    assert there.state == "cut"
    files: Iterator[tuple[str, bytes]] = itertools.islice(_files(kind, cut), FILES_AN_IMAGE * there.images)
    if there.images < count:  # else it was cut in the record or in the directory of a zip
        _receive(server, kind.media_type, there.images, count - there.images, rest)
        assert verify(rest).state == "whole"
        files = itertools.chain(files, _files(kind, rest))
    assert all(one == other for one, other in itertools.zip_longest(files, _files(kind, whole)))


@contextmanager
def _asking(server: Server, media_type: str, start: int, count: int) -> Iterator[Iterator[bytes]]:
    body, headers = (
        {"seed": SEED, "start": start, "count": count},
        {"Accept": media_type, "Accept-Encoding": "identity"},
    )
    with httpx.stream("POST", f"{server.url}/generate", json=body, headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        yield answer.iter_raw()


def _receive(server: Server, media_type: str, start: int, count: int, file: Path, most: int | None = None) -> None:
    """Write the reply, or its first ``most`` bytes, and hang up."""
    with file.open("wb") as stream, _asking(server, media_type, start, count) as chunks:
        for chunk in chunks:
            stream.write(chunk)
            if most is not None and stream.tell() >= most:
                stream.truncate(most)
                return


def _npy_bytes(engine: Engine, count: int) -> int:
    return Npy((count, *engine.card.image_shape), has_footer=False).length


def _pixels(engine: Engine, file: Path, of: int, images: int) -> Iterator[bytes]:
    """Those of the first so many images of a file of ``of``."""
    left = _npy_bytes(engine, images) - _npy_bytes(engine, 0)
    with file.open("rb") as stream:
        stream.seek(len(Npy((of, *engine.card.image_shape)).header))
        while left:
            left -= len(pixels := stream.read(min(left, _PIECE_BYTES)))
            yield pixels


def _drawn_here_sha256(engine: Engine, count: int) -> bytes:
    """Of the pixels that the server should send."""
    sha256 = hashlib.sha256()
    for first in range(0, count, 4000):
        sha256.update(engine.generate(SEED, min(4000, count - first), first).images.tobytes())
    return sha256.digest()


def _tail(file: Path) -> bytes:
    with file.open("rb") as stream:
        stream.seek(-FOOTER_BYTES, 2)
        return stream.read()


def _files(kind: type[Archive], file: Path) -> Iterator[tuple[str, bytes]]:
    """The labels and images of an archive that need not be whole."""
    with file.open("rb") as stream:
        while stream.tell() < file.stat().st_size:
            begin = stream.tell()
            name, content = kind.read(stream)
            if name == RECORD:
                return
            stream.seek(begin + len(kind.chunk([(name, content)]).data))
            yield name, content
