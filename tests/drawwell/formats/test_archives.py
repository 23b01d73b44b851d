"""Tar and zip, as the readers that users have find them."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawwell.formats.archives import RECORD, Archive, File, Tar, Zip
from drawwell.formats.names import facts_of, files_of

FORMATS = [Tar, Zip]
DIGEST = "0f" * 32


def small_files(count: int, first: int = 0) -> list[File]:
    return [(f"7-{index}.png", b"%d" % index * (index % 5)) for index in range(first, first + count)]


def made(archive: Archive, *chunks: list[File], **facts: object) -> bytes:
    parts = [archive.append(archive.chunk(files)) for files in chunks]
    return b"".join([*parts, *archive.end(facts)])


def read_back(content: bytes) -> dict[str, bytes]:
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        streams = {member.name: tar.extractfile(member) for member in tar}
        return {name: stream.read() for name, stream in streams.items() if stream}


@pytest.mark.parametrize("archive_type", FORMATS)
def test_what_was_put_in_comes_out_in_its_order_and_then_the_record(archive_type: type[Archive]) -> None:
    files = small_files(100)
    came = read_back(made(archive_type(), files, seed=7))
    assert [*came.items()][:-1] == files
    assert [*came][-1] == RECORD


@pytest.mark.parametrize("archive_type", FORMATS)
def test_the_bytes_depend_on_the_files_and_on_nothing_else(archive_type: type[Archive]) -> None:
    files = small_files(100)
    assert made(archive_type(), files) == made(archive_type(), files[:1], [], files[1:60], files[60:])


@pytest.mark.parametrize("archive_type", FORMATS)
def test_the_record_tells_the_facts_and_the_checksum_of_what_is_before_it(archive_type: type[Archive]) -> None:
    archive, facts = archive_type(), facts_of(DIGEST, 7, range(20, 25))
    before = archive.append(archive.chunk(small_files(5, 20)))
    record = json.loads(read_back(before + b"".join(archive.end(facts)))[RECORD])
    assert record["sha256"] == hashlib.sha256(before).hexdigest()
    assert record["facts_sha256"] == hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    assert record.items() >= {"digest": DIGEST, "seed": 7, "start": 20, "count": 5}.items()


@pytest.mark.parametrize("archive_type", FORMATS)
def test_images_and_labels_are_named_by_address(archive_type: type[Archive]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 1)).astype(np.uint8)
    indices = np.array([5, 99, 3])
    came = read_back(made(archive_type(), files_of(7, indices, images, np.array([0, 12, 3]))))
    assert [*came] == ["7-5.cls", "7-5.png", "7-99.cls", "7-99.png", "7-3.cls", "7-3.png", RECORD]
    assert came["7-99.cls"] == b"12"
    with Image.open(io.BytesIO(came["7-99.png"])) as picture:
        np.testing.assert_array_equal(np.asarray(picture), images[1, ..., 0])
    assert [name for name, _ in files_of(7, indices, images, None)] == ["7-5.png", "7-99.png", "7-3.png"]


@pytest.mark.parametrize(("archive_type", "tool"), [(Tar, "tar xf archive -C out"), (Zip, "unzip -qq archive -d out")])
def test_common_tools_read_it_without_a_warning(tmp_path: Path, archive_type: type[Archive], tool: str) -> None:
    (tmp_path / "archive").write_bytes(made(archive_type(), small_files(10)))
    (tmp_path / "out").mkdir()
    if not shutil.which(tool.split()[0]):
        tool = f"{sys.executable} -m {archive_type.__name__.lower()}file -e archive out"
    done = subprocess.run(tool.split(), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
    came = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert came.items() >= dict(small_files(10)).items()


def test_a_tar_streams_as_webdataset_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(made(Tar(), small_files(3))), mode="r|*") as tar:
        members = [(member.name, member.isreg(), member.mtime, member.uid, member.mode) for member in tar]
    assert members == [(name, True, 0, 0, 0o644) for name in ("7-0.png", "7-1.png", "7-2.png", RECORD)]


@pytest.mark.parametrize("count", [65_533, 65_534, 65_535, 70_000])
def test_a_zip_holds_more_files_than_16_bits_count(count: int) -> None:
    with zipfile.ZipFile(io.BytesIO(made(Zip(), small_files(count)))) as archive:
        assert len(archive.namelist()) == count + 1
        assert archive.read(f"7-{count - 1}.png") == small_files(1, count - 1)[0][1]


@pytest.mark.parametrize("offset", [2**32 - 100, 2**32 - 1, 5 * 2**30])
def test_a_zip_reaches_beyond_4_gib(tmp_path: Path, offset: int) -> None:
    archive = Zip()
    first, archive.length = archive.append(archive.chunk(small_files(3))), offset
    with (tmp_path / "x.zip").open("wb") as stream:
        stream.write(first)
        stream.seek(offset)  # a hole, which takes no room on the disk
        stream.write(archive.append(archive.chunk(small_files(10, 3))))
        stream.writelines(archive.end({}))
    with zipfile.ZipFile(tmp_path / "x.zip") as zipped:
        assert zipped.testzip() is None
        assert [(name, zipped.read(name)) for name in zipped.namelist()][:-1] == small_files(13)


@pytest.mark.slow
@pytest.mark.parametrize(("archive_type", "files"), [(Tar, 20_000), (Zip, 200_000)])
def test_memory_stays_small_however_many_files(archive_type: type[Archive], files: int) -> None:
    archive, longest = archive_type(), 0
    tracemalloc.start()
    try:
        for first in range(0, files, 1000):
            archive.append(archive.chunk(small_files(1000, first)))
        longest = max(map(len, archive.end({})))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3_000_000 + 16 * files  # zipfile keeps 700 bytes a file
    assert longest < 2**20
