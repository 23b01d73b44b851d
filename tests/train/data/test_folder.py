"""Folders of pictures, and archives of them: what is read, what is left out, and that this is told."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawwell_train.data.dataset import load
from drawwell_train.data.images import DataError
from tests.conftest import drawwell
from tests.train.makers import picture, pictures

ENDINGS = (
    *("png", "jpg", "jpeg", "jfif", "jpe", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm", "tga", "ico"),
    *("pcx", "sgi", "qoi", "dds", "jp2", "dib", "apng", "TIF", "GIF"),
)


def test_every_picture_that_pillow_reads_is_read(tmp_path: Path) -> None:
    for ending in ENDINGS:
        mode = {"pgm": "L", "pbm": "1"}.get(ending, "RGB")
        picture(tmp_path / f"x.{ending}", mode=mode)
    data = load(str(tmp_path), 28)
    assert len(data.images) == len(ENDINGS)
    assert not data.skipped and not data.remarks


def test_what_is_left_out_is_counted_by_ending(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", ".2.png")
    for name in ("1.heic", "2.HEIC", "a/3.heic", "notes.txt", "README", "odd.a\nb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    told, _ = load(str(tmp_path), 28).remarks
    assert told.startswith("left out: 3 .heic, ")
    assert set(told.removeprefix("left out: ").split(", ")) == {
        "3 .heic",
        "1 .txt",
        "1 without ending",
        "1 hidden",
        "1 of other endings",
    }
    said = drawwell("train", str(tmp_path), "--size", "28", "--dry-run").stderr
    assert "left out: 3 .heic" in said


def test_a_class_folder_without_pictures_is_told(tmp_path: Path) -> None:
    """Else a class would be missing, and nobody would know."""
    folder = pictures(tmp_path / "x", "cats/1.png", "dogs/1.png", "birds/1.png")
    (folder / "birds" / "1.png").rename(folder / "birds" / "1.heic")
    (folder / "none").mkdir()
    data = load(str(folder), 28)
    assert data.class_names == ("cats", "dogs")
    assert data.remarks == ("left out: 1 .heic", "no pictures in 2 of the folders: 'birds', 'none'")
    assert load(str(zipped(tmp_path / "x.zip", folder)), 28).remarks[1] == "no pictures in 1 of the folders: 'birds'"


def test_a_folder_of_other_files_alone_says_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "1.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no PNG, JPEG, WebP, TIFF or other picture.*left out: 1 \.heic"):
        load(str(tmp_path))


def test_the_first_picture_of_an_animation_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (28, 28), colour) for colour in ("white", "black")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    data = load(str(tmp_path), 28)
    assert data.images.shape == (1, 28, 28, 3) and (data.images == 255).all()


def test_levels_of_unknown_range_are_bad(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 784, dtype=np.float32).reshape(28, 28)).save(tmp_path / "float.tif")
    picture(tmp_path / "1.png")
    assert "no known range" in load(str(tmp_path), 28).skipped[0]


def test_a_damaged_picture_is_not_taken_for_a_tga(tmp_path: Path) -> None:
    """Which has no mark at its beginning."""
    pictures(tmp_path, "1.png")
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 28, 28, 24, 0)
    for name in ("bad.png", "good.tga"):
        (tmp_path / name).write_bytes(header + bytes(28 * 28 * 3))
    data = load(str(tmp_path), 28)
    assert len(data.images) == 2 and "bad.png" in data.skipped[0]


def test_linked_class_folders_are_followed_once(tmp_path: Path) -> None:
    elsewhere = pictures(tmp_path / "elsewhere", "cats/1.png", "cats/2.png")
    data_path = pictures(tmp_path / "data", "dogs/1.png")
    for name in ("cats", "more-cats"):
        (data_path / name).symlink_to(elsewhere / "cats")
    (elsewhere / "cats" / "round").symlink_to(data_path)
    data = load(str(data_path), 28)
    assert data.class_names == ("cats", "dogs")
    assert data.labels is not None and data.labels.tolist() == [0, 0, 1]
    assert "link to a folder that is read already ('more-cats')" in data.remarks[0]
    assert "('cats/round')" in data.remarks[0]


def test_a_link_takes_no_pictures_from_the_folder_that_it_leads_to(tmp_path: Path) -> None:
    pictures(tmp_path, "b/1.png", "c/1.png")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "z").symlink_to(tmp_path.parent)
    (tmp_path / "whole").symlink_to("/")
    assert load(str(tmp_path), 28).class_names == ("b", "c")


def zipped(file: Path, folder: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return file


@pytest.mark.parametrize("prefix", ["", "photos/"])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_zip_is_read_as_its_folder(tmp_path: Path, prefix: str, labelled: bool) -> None:
    folder = pictures(tmp_path / "photos", "cats/1.png", "cats/a/2.jpg", "dogs/1.tif", "dogs/@eaDir/1.png")
    (folder / "notes.txt").write_text("x")
    if labelled:
        (folder / "labels.csv").write_text("cats/1.png,x\ncats/a/2.jpg,y\ndogs/1.tif,x\n")
    wanted, found = load(str(folder), 28), load(str(zipped(tmp_path / "photos.zip", folder, prefix)), 28)
    assert found.sha256(with_labels=True) == wanted.sha256(with_labels=True)
    assert found.class_names == wanted.class_names == (("x", "y") if labelled else ("cats", "dogs"))
    assert "1 .txt" in found.remarks[0]


def test_a_zip_of_a_flat_folder_is_read_with_its_labels(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", "1.png", "2.png")
    (folder / "labels.csv").write_text("1.png,x\n2.png,y\n")
    assert load(str(zipped(tmp_path / "photos.zip", folder, "photos/")), 28).class_names == ("x", "y")


@pytest.mark.parametrize("spelling", ["./{}/{}", "{}\\{}", "{}//{}", "./photos//{}/./{}", "photos\\{}\\{}"])
def test_a_zip_is_read_however_its_paths_are_spelled(tmp_path: Path, spelling: str) -> None:
    folder = pictures(tmp_path / "photos", "cats/1.png", "cats/2.png", "dogs/1.png")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.writestr(spelling.format(path.parent.name, path.name), path.read_bytes())
        archive.writestr("cats\\", b"")
    wanted, found = load(str(folder), 28), load(str(tmp_path / "x.zip"), 28)
    assert found.sha256(with_labels=True) == wanted.sha256(with_labels=True)
    assert found.class_names == ("cats", "dogs") and not found.remarks


def test_a_zip_without_anything_says_so(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "x.zip", "w").close()
    with pytest.raises(DataError, match="holds no PNG, JPEG, WebP, TIFF or other picture, not even in sub-folders"):
        load(str(tmp_path / "x.zip"))


def test_folders_that_are_left_out_are_counted_in_english(tmp_path: Path) -> None:
    names = ("a/1.png", "b/1.png", "a/.ipynb_checkpoints/1.png", "b/.ipynb_checkpoints/1.png", "@tmp/1.png")
    told, *_ = load(str(pictures(tmp_path, *names)), 28).remarks
    assert told == "left out: 2 folders '.ipynb_checkpoints', 1 folder '@tmp'"


def test_a_zip_of_arrays_is_an_array_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((2, 28, 28), np.uint8))
    (tmp_path / "x.npz").rename(tmp_path / "x.zip")
    assert load(str(tmp_path / "x.zip")).images.shape == (2, 28, 28, 1)


def test_archives_that_do_harm_are_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "x.zip", pictures(tmp_path / "x", "1.png")).read_bytes()
    encrypted = bytearray(whole)
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[whole.index(sign) + place] |= 1
    wrong = {"is encrypted": bytes(encrypted), "is not a readable .zip": whole[:-30]}
    for name, what in (
        ("../1.png", "a path outside the archive"),
        ("/etc/1.png", "a path outside the archive"),
        ("a\\..\\..\\1.png", "a path outside the archive"),
        ("\\1.png", "a path outside the archive"),
        ("1.bmp", "unpack to"),
    ):
        with zipfile.ZipFile(tmp_path / "y.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, bytes(2**27 if name == "1.bmp" else 9))
        wrong[what] = (tmp_path / "y.zip").read_bytes()
    for sentence, content in wrong.items():
        (tmp_path / "x.zip").write_bytes(content)
        with pytest.raises(DataError, match=sentence):
            load(str(tmp_path / "x.zip"), 28)


def test_a_damaged_picture_in_a_zip_is_named(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "x", "1.png")
    (folder / "2.png").write_bytes(b"no picture")
    data = load(str(zipped(tmp_path / "x.zip", folder)), 28)
    assert len(data.images) == 1
    assert "x.zip/2.png': is not a picture that can be decoded" in data.skipped[0]
