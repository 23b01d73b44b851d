"""Large pictures, and how much memory they may take."""

import io
import struct
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawwell.formats import pictures
from drawwell.formats.pictures import Shape
from drawwell_train.data import decode, memory
from drawwell_train.data.dataset import Limits, load
from drawwell_train.data.decode import decode_all
from tests.conftest import drawwell
from tests.train.makers import picture

SHAPE = 28, 28, 3


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder with a scan of 100 megapixels and a small picture."""
    picture(tmp_path / "1.png")
    Image.new("1", (10_000, 10_000)).save(tmp_path / "scan.png")
    return tmp_path


def test_one_large_scan_refuses_no_folder_and_the_sentence_names_the_way_on(large: Path) -> None:
    data = load(str(large), 28)
    assert len(data.images) == 1
    assert "scan.png" in data.skipped[0] and data.skipped[0].endswith("Add --max-megapixels 100 to read it")


def test_a_larger_picture_is_read_where_the_option_says_so(large: Path) -> None:
    assert len(load(str(large), 28, limits=Limits(max_megapixels=100)).images) == 2
    assert len(load(str(large), 28, limits=Limits(max_megapixels=99)).images) == 1
    before = Image.MAX_IMAGE_PIXELS
    assert before is not None and before < 10**8, "Pillow's own limit is as it was"


def test_the_options_reach_the_data(large: Path) -> None:
    for number in range(4):
        (large / f"bad{number}.png").write_bytes(b"")
    options = ["train", str(large), "--size", "28", "--dry-run"]
    refused = drawwell(*options, code=1).stderr
    assert "to skip them, run the same command with --max-bad 0.834" in refused
    assert "data      1 image " in drawwell(*options, "--max-bad", "0.834").stderr
    assert "data      2 images" in drawwell(*options, "--max-bad", "0.7", "--max-megapixels", "100").stderr
    assert "a share" in drawwell(*options, "--max-bad", "2", code=2).stderr


def test_the_pixels_in_work_at_one_time_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all threads, of which there is one a core; one picture that is larger is alone."""
    files = [picture(tmp_path / f"{number}.png", side) for number, side in enumerate([40, 40, 40, 40, 200, 40, 40])]
    most, in_work, lock, fit = 2 * 40 * 40, [0], threading.Lock(), pictures.fit
    seen = []

    def slow(image: Image.Image, shape: Shape) -> np.ndarray:
        with lock:
            in_work[0] += image.width * image.height
            seen.append(in_work[0])
        time.sleep(0.05)
        with lock:
            in_work[0] -= image.width * image.height
        return fit(image, shape)

    monkeypatch.setattr(decode, "fit", slow)
    monkeypatch.setattr(decode, "cores", lambda: 7)
    monkeypatch.setattr(decode, "_PIXELS_AT_ONCE", most)
    images, kept, _ = decode_all(files, SHAPE)
    assert len(images) == len(kept) == 7
    assert max(pixels for pixels in seen if pixels != 200 * 200) == most
    assert max(seen) == 200 * 200


def test_little_free_memory_means_few_pixels_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free", lambda: 2**26)
    assert decode._pixels_at_once(0) * pictures.BYTES_A_PIXEL <= 2**26 / 4
    assert decode._pixels_at_once(2**27) == 0, "then one picture after the other"


def test_a_picture_that_memory_does_not_hold_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [picture(tmp_path / "1.png"), tmp_path / "large.png"]
    Image.new("L", (3_000, 2_000)).save(files[1])
    monkeypatch.setattr(memory, "free", lambda: 2**26)
    images, _, skipped = decode_all(files, SHAPE)
    assert len(images) == 1
    assert "large.png': 6 megapixels take 92 MiB to decode; 64 MiB are free" in skipped[0]


def jpeg(file: Path, **options: bool) -> Path:
    Image.new("RGB", (3_000, 2_000), "white").save(file, "JPEG", **options)
    return file


def jpeg_in_scans(file: Path) -> Path:
    """One colour a scan, of which the first is enough here: what waits for the others is as large as the picture."""
    together = b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0"
    content = jpeg(file).read_bytes()
    assert together in content
    file.write_bytes(content.replace(together, b"\xff\xda\0\x08\1\1\0\0\x3f\0"))
    return file


def icon(file: Path, content: bytes) -> Path:
    """Whose directory says 16x16."""
    directory = struct.pack("<3H4B2H2I", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(content), 22)
    file.write_bytes(directory + content)
    return file


def png(side: tuple[int, int]) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", side, "white").save(content, "PNG")
    return content.getvalue()


def test_what_decoding_holds_is_counted_and_not_what_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large JPEG is decoded scaled down, but all of it is held where it comes in several scans. An icon may hold any picture."""
    files = [
        jpeg(tmp_path / "small.jpg"),
        jpeg(tmp_path / "progressive.jpg", progressive=True),
        jpeg_in_scans(tmp_path / "scans.jpg"),
        icon(tmp_path / "large.ico", png((3_000, 2_000))),
        icon(tmp_path / "icon.png", png((3_000, 2_000))),
    ]
    monkeypatch.setattr(memory, "free", lambda: 2**26)
    images, kept, skipped = decode_all(files, SHAPE)
    assert kept == [0] and (images == 255).all()
    assert all("6 megapixels take 92 MiB to decode; 64 MiB are free" in sentence for sentence in skipped), skipped


def test_icons_are_read_and_bad_ones_named(tmp_path: Path) -> None:
    bitmap = struct.pack("<3I2H6I", 40, 5_000, 10_000, 1, 8, 1, 0, 0, 0, 0, 0)
    Image.new("RGB", (64, 64), "white").save(tmp_path / "bitmap.ico", bitmap_format="bmp", sizes=[(64, 64)])
    files = [
        tmp_path / "bitmap.ico",
        icon(tmp_path / "png.ico", png((64, 64))),
        icon(tmp_path / "wrong.ico", bitmap + bytes(2**20)),
        icon(tmp_path / "empty.ico", b""),
    ]
    (tmp_path / "cut.ico").write_bytes(b"\0\0\1\0")
    images, kept, skipped = decode_all([*files, tmp_path / "cut.ico"], SHAPE)
    assert kept == [0, 1] and (images == 255).all()
    assert "wrong.ico': an icon's bitmap of 5000x5000 is larger than 256x256" in skipped[0]
    assert all(sentence.endswith("ico': is not a picture that can be decoded") for sentence in skipped[1:]), skipped


def test_warnings_of_decoders_do_not_reach_the_terminal(tmp_path: Path) -> None:
    """A picture with damaged notes about its camera, for one, is read."""
    Image.new("RGB", (28, 28)).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09xxxxx")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert len(decode_all([tmp_path / "x.jpg"], SHAPE)[0]) == 1
    assert not told


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries keep no memory for each thread")
@pytest.mark.slow
def test_large_pictures_one_after_the_other_take_the_memory_of_one(tmp_path: Path) -> None:
    """Whichever thread has them: what it gave back is not kept for it."""
    Image.new("RGBA", (5_000, 5_000), (1, 2, 3, 4)).save(tmp_path / "x.png", compress_level=1)
    code = (
        "import sys, pathlib; from drawwell_train.data import decode\n"
        "decode.cores = lambda: 8; decode._PIXELS_AT_ONCE = 1\n"
        "def highest(): return int(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "def decoded(count):\n"
        "    assert len(decode.decode_all([pathlib.Path(sys.argv[1])] * count, (28, 28, 3))[0]) == count\n"
        "    return highest()\n"
        "before = highest()\n"
        "print(decoded(1) - before, decoded(6) - before)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x.png")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    one, many = map(int, said.split())
    assert many < 1.5 * one
