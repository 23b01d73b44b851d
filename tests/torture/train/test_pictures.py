"""Folders as people have them, and as nobody should."""

import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawwell_train.data import dataset as data
from drawwell_train.data.decode import decode_all
from drawwell_train.data.images import DataError

from ..conftest import Record, times

_NOISE = np.random.default_rng(7)
_MEGABYTES_OF_A_BOMB = 2_384
"""Of 50,000 x 50,000 pixels, a byte each."""


def _noise(*shape: int) -> Image.Image:
    return Image.fromarray(_NOISE.integers(0, 256, shape).astype(np.uint8))


def _fill(folder: Path, count: int) -> None:
    _noise(28, 28, 3).save(folder / "0.png")
    for number in range(1, count):
        (folder / f"{number}.png").hardlink_to(folder / "0.png")


def _add_odd(folder: Path) -> int:
    """Pictures that are read, whatever they look like; how many."""
    _noise(28, 28, 4).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(_NOISE.integers(0, 2**16, (28, 28)).astype(np.uint16)).save(folder / "16-bit.png")
    _noise(1, 1, 3).save(folder / "one-pixel.png")
    _noise(1, 9000, 3).save(folder / "line.png")
    _noise(28, 28, 3).save(folder / "a-gif.jpg", format="GIF")
    _noise(28, 28, 3).save(folder / "a\nnewline.png")
    _noise(28, 28, 3).save(folder / "[red]写真 \N{PILE OF POO}.png")
    _noise(28, 28, 3).save(os.fsencode(folder) + b"/no-unicode-\xff.png")
    return 8


def _add_bad(folder: Path) -> int:
    """Files that are named and skipped; how many. A folder with a picture's name is none of them, nor a link to one."""
    whole = (folder / "0.png").read_bytes()
    (folder / "bad-truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "bad-empty.jpg").write_bytes(b"")
    (folder / "bad-text.webp").write_text("no picture")
    (folder / "bad-50000x50000.png").write_bytes(_black_png(50_000))
    (folder / "bad-10000x10000.png").write_bytes(_black_png(10_000))
    _noise(28, 28, 3).save(folder / "bad-program.png", format="EPS")
    (folder / "bad\nnewline.png").write_bytes(b"")
    (folder / "bad-loop.png").symlink_to(folder / "bad-loop.png")
    (folder / "bad-link.png").symlink_to(folder / "absent")
    (folder / "bad-endless.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "bad-pipe.png")
    (folder / "folder.png").mkdir()
    (folder / "folder.png" / "again").symlink_to(folder)
    return 11


def _black_png(pixels: int) -> bytes:
    """Square, of one bit a pixel: some kilobytes that unpack to gigabytes."""
    packer, row = zlib.compressobj(9), bytes(1 + (pixels + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(pixels)) + packer.flush()
    header = struct.pack(">IIBBBBB", pixels, pixels, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_folder_of_odd_and_of_bad_pictures(tmp_path: Path) -> None:
    """CMYK, 16-bit, 1x1, misnamed, unicode- and newline-named pictures are read; truncated, empty, 50,000 x 50,000 px, no pictures at
    all, looping links, devices and pipes are each named and skipped up to 1 %, and take no memory."""
    _fill(tmp_path, 1_100)
    odd, bad = _add_odd(tmp_path), _add_bad(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = data.load(str(tmp_path), 28)
    assert len(read.images) == 1_100 + odd
    assert len(read.skipped) == bad
    assert all("bad" in sentence and "\n" not in sentence for sentence in read.skipped)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < _MEGABYTES_OF_A_BOMB / 4


def test_large_pictures_by_the_dozen(tmp_path: Path) -> None:
    """Dozens of large pictures, some of which look small (progressive JPEGs, icons with a PNG inside), on 16 threads: all are read, in
    the memory of a few."""
    large = Image.new("RGB", (6_000, 6_000), "white")
    large.save(tmp_path / "0.jpg", progressive=True)
    large.save(tmp_path / "png", "PNG", compress_level=1)
    png = (tmp_path / "png").read_bytes()
    directory = struct.pack("<3H4B2H2I", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(png), 22)
    (tmp_path / "0.ico").write_bytes(directory + png)
    for number in range(1, 16):
        for suffix in ("jpg", "ico"):
            (tmp_path / f"{number}.{suffix}").hardlink_to(tmp_path / f"0.{suffix}")
    code = (
        "import sys, resource; from drawwell_train.data import dataset as data, decode; decode.cores = lambda: 16\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); count = len(data.load(sys.argv[1], 28).images); print(count, (peak() - before) // 1024)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    count, megabytes = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert count == 32
    assert megabytes < 1_024


def test_a_folder_with_more_than_one_per_cent_of_bad_pictures(tmp_path: Path) -> None:
    """Beyond 1 % of bad pictures the folder is refused, with the first ten of them by name."""
    _fill(tmp_path, 100)
    bad = _add_bad(tmp_path)
    with pytest.raises(
        DataError, match=rf"{bad} of {100 + bad} images cannot be read, which is more than 1 %"
    ) as refused:
        data.load(str(tmp_path), 28)
    assert str(refused.value).count("\n  ") == 10


@pytest.mark.parametrize("kind", ["empty", "folders", "hidden", "loop"])
def test_a_folder_without_pictures(tmp_path: Path, kind: str) -> None:
    """An empty folder, empty classes, only hidden files, only a link to itself: refused with a sentence."""
    if kind == "folders":
        (tmp_path / "cats" / "young").mkdir(parents=True)
    elif kind == "hidden":
        (tmp_path / ".0.png").write_bytes(b"")
    elif kind == "loop":
        (tmp_path / "again").symlink_to(tmp_path)
    with pytest.raises(DataError, match="holds no PNG, JPEG, WebP, TIFF or other picture, not even in sub-folders"):
        data.load(str(tmp_path))


def test_pictures_with_flipped_bytes(tmp_path: Path, record: Record) -> None:
    """Pictures of every format with flipped and missing bytes: each is read, or named and skipped."""
    kinds = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "bmp": "BMP"}
    count, seen = times(5_000, 200), {"read": 0, "skipped": 0}
    for suffix, picture_format in kinds.items():
        _noise(28, 28, 3).save(tmp_path / f"whole.{suffix}", picture_format)
    folder = tmp_path / "damaged"
    folder.mkdir()
    for number in range(count):
        suffix = sorted(kinds)[number % len(kinds)]
        content = bytearray((tmp_path / f"whole.{suffix}").read_bytes())
        for place in _NOISE.integers(0, len(content), _NOISE.integers(1, 9)):
            content[place] ^= 1 << int(_NOISE.integers(8))
        (folder / f"{number}.{suffix}").write_bytes(
            content[: None if number % 3 else int(_NOISE.integers(len(content)))]
        )
    images, kept, skipped = decode_all(sorted(folder.iterdir()), (28, 28, 3))
    seen["read"], seen["skipped"] = len(kept), len(skipped)
    assert len(images) == len(kept) == count - len(skipped)
    record(count=count, **seen)
