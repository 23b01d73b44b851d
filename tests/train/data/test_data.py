"""Everything that can be trained on, and everything that cannot."""

import gzip
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import pytest
import torch
from PIL import Image, ImageOps

from drawwell_train.data.dataset import Limits, load
from drawwell_train.data.images import DataError, ImageData, check_device_memory
from drawwell_train.step.batches import Batches
from tests.train.configs import configured

Noise = Callable[..., np.ndarray]


@pytest.fixture
def noise() -> Noise:
    generator = np.random.default_rng(0)
    return lambda *shape: generator.integers(0, 256, shape).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def idx(path: Path, array: np.ndarray) -> Path:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))
    return path


def test_the_digits_are_real_and_balanced() -> None:
    data = load("digits")
    assert data.images.shape == (5000, 28, 28, 1)
    assert data.labels is not None
    assert np.bincount(data.labels).tolist() == [500] * 10
    assert data.images.max() == 255


def test_a_folder_of_all_formats_becomes_square_colour(tmp_path: Path, noise: Noise) -> None:
    for name in ("a.png", "b.jpg", "c.JPEG", "d.webp", "e.bmp"):
        save(tmp_path / name, noise(40, 60, 3))
    (tmp_path / "readme.txt").write_text("not an image, and not meant as one")
    data = load(str(tmp_path), 32)
    assert data.images.shape == (5, 32, 32, 3)
    assert data.labels is None
    assert load(str(tmp_path)).images.shape == (5, 64, 64, 3)
    assert load(str(tmp_path), 28, 1).images.shape == (5, 28, 28, 1)


def test_sub_folders_are_classes(tmp_path: Path, noise: Noise) -> None:
    for name in ("cats/1.png", "cats/deeper/2.png", "dogs/1.png"):
        save(tmp_path / name, noise(28, 28, 3))
    data = load(str(tmp_path), 28)
    assert data.class_names == ("cats", "dogs")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 0, 1]


def test_the_centre_is_kept_and_the_aspect_too(tmp_path: Path) -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = 255
    save(tmp_path / "wide.png", wide)
    assert (load(str(tmp_path), 32).images > 250).mean() > 0.9


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "I;16", "CMYK"])
def test_every_mode_of_a_picture_is_read(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.full((32, 32), 200, np.uint8))
    deep = Image.fromarray(np.full((32, 32), 200 * 256, np.uint16))
    picture = deep if mode == "I;16" else grey.convert("RGB").convert(mode)
    picture.save(tmp_path / ("x.jpg" if mode == "CMYK" else "x.png"))
    images = load(str(tmp_path), 32).images
    assert abs(int(images.mean()) - 200) < 30


def test_transparency_becomes_white(tmp_path: Path) -> None:
    save(tmp_path / "clear.png", np.zeros((32, 32, 4), np.uint8))
    assert (load(str(tmp_path), 32).images == 255).all()


def test_bad_files_are_counted_named_and_skipped(tmp_path: Path, noise: Noise) -> None:
    for number in range(198):
        save(tmp_path / f"{number}.png", noise(28, 28, 3))
    (tmp_path / "text.png").write_text("hello")
    whole = save(tmp_path / "cut.jpg", noise(28, 28, 3)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:100])
    data = load(str(tmp_path), 28)
    assert len(data.images) == 198
    assert [any(name in sentence for sentence in data.skipped) for name in ("text.png", "cut.jpg")] == [True, True]


def test_more_than_one_per_cent_bad_is_an_error_that_names_the_way_on(tmp_path: Path, noise: Noise) -> None:
    for number in range(46):
        save(tmp_path / f"{number}.png", noise(28, 28, 3))
    for number in range(4):
        (tmp_path / f"bad\nname{number}.png").write_text("hello")
    with pytest.raises(
        DataError, match=r"(?s)4 of 50 images cannot be read, which is more than 1 %:\n  .*bad\\nname.*--max-bad 0.08$"
    ):
        load(str(tmp_path), 28)
    assert len(load(str(tmp_path), 28, limits=Limits(max_bad=0.08)).images) == 46


def test_a_few_bad_pictures_refuse_no_folder(tmp_path: Path, noise: Noise) -> None:
    for number in range(30):
        save(tmp_path / f"{number}.png", noise(28, 28, 3))
    (tmp_path / "bad.png").write_text("hello")
    data = load(str(tmp_path), 28)
    assert len(data.images) == 30 and len(data.skipped) == 1


def test_a_folder_of_bad_pictures_alone_says_what_is_wrong_with_them(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("hello")
    with pytest.raises(DataError, match=r"none of its 1 pictures can be read:\n  .*bad.png': is not a picture"):
        load(str(tmp_path), 28)


def test_labels_follow_the_images_that_were_kept(tmp_path: Path, noise: Noise) -> None:
    for number in range(120):
        save(tmp_path / f"{'ab'[number % 2]}" / f"{number:03}.png", noise(28, 28, 3))
    (tmp_path / "a" / "000.png").write_text("bad")
    data = load(str(tmp_path), 28)
    assert data.labels is not None
    assert np.bincount(data.labels).tolist() == [59, 60]


def test_links_that_lead_in_circles_are_not_followed(tmp_path: Path, noise: Noise) -> None:
    save(tmp_path / "a" / "1.png", noise(28, 28, 3))
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert len(load(str(tmp_path), 28).images) == 1


def test_idx_files_are_read_with_their_labels(tmp_path: Path, noise: Noise) -> None:
    images, labels = noise(20, 28, 28), np.arange(20, dtype=np.uint8) % 10
    file = idx(tmp_path / "train-images-idx3-ubyte.gz", images)
    idx(tmp_path / "train-labels-idx1-ubyte.gz", labels)
    for source in (file, tmp_path):
        data = load(str(source))
        np.testing.assert_array_equal(data.images[..., 0], images)
        assert data.labels is not None
        assert data.labels.tolist() == labels.tolist()


def test_cifar_batches_are_read_zipped_or_not(tmp_path: Path, noise: Noise) -> None:
    images, labels = noise(6, 32, 32, 3), np.arange(6, dtype=np.uint8)
    records = np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(6, -1)], axis=1).tobytes()
    (tmp_path / "data_batch_1.bin").write_bytes(records)
    (tmp_path / "data_batch_2.bin.gz").write_bytes(gzip.compress(records))
    for name in ("data_batch_1.bin", "data_batch_2.bin.gz"):
        data = load(str(tmp_path / name))
        np.testing.assert_array_equal(data.images, images)
        assert data.class_names[3] == "cat"
    assert load(str(tmp_path)).images.shape == (12, 32, 32, 3)


def test_numpy_files_are_read(tmp_path: Path, noise: Noise) -> None:
    images = noise(5, 64, 64, 3)
    np.save(tmp_path / "x.npy", images)
    np.testing.assert_array_equal(load(str(tmp_path / "x.npy")).images, images)
    np.savez(tmp_path / "x.npz", x=images, y=np.array([0, 1, 0, 1, 1]), classes=np.array(["a", "b"]))
    data = load(str(tmp_path / "x.npz"))
    assert data.class_names == ("a", "b")
    np.save(tmp_path / "odd.npy", noise(3, 30, 40))
    assert load(str(tmp_path / "odd.npy"), 32).images.shape == (3, 32, 32, 1)


@pytest.mark.parametrize(
    "names", [("x_train", "y_train", "x_test"), ("train_images", "train_labels", "test_images"), ("X", "y", "z")]
)
def test_array_files_as_keras_writes_them_are_read(tmp_path: Path, noise: Noise, names: tuple[str, str, str]) -> None:
    """Images to test with are left out, and that is told; labels may have a dimension more."""
    images, labels, others = names
    pixels = noise(4, 28, 28)
    np.savez(tmp_path / "x.npz", **{images: pixels, labels: np.array([[1], [0], [1], [0]]), others: noise(2, 28, 28)})  # type: ignore[arg-type]
    data = load(str(tmp_path / "x.npz"))
    np.testing.assert_array_equal(data.images[..., 0], pixels)
    assert data.labels is not None and data.labels.tolist() == [1, 0, 1, 0]
    assert data.remarks == (f"left out 2 images of '{others}'",)


def test_several_arrays_without_known_names_are_refused(tmp_path: Path, noise: Noise) -> None:
    np.savez(tmp_path / "x.npz", a=noise(4, 28, 28), b=noise(4, 28, 28))
    with pytest.raises(
        DataError,
        match=r"or one called x_train, train_images, images, x; has 2 such among its arrays: 'a' of uint8 \[4, 28, 28\], 'b' of",
    ):
        load(str(tmp_path / "x.npz"))


@pytest.mark.parametrize(
    ("images_name", "labels_name"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
    ],
)
def test_idx_files_are_read_unpacked_too(tmp_path: Path, noise: Noise, images_name: str, labels_name: str) -> None:
    images, labels = noise(20, 28, 28), np.arange(20, dtype=np.uint8) % 10
    for name, array in ((images_name, images), (labels_name, labels)):
        packed = idx(tmp_path / name, array)
        if not name.endswith(".gz"):
            packed.write_bytes(gzip.decompress(packed.read_bytes()))
    for source in (tmp_path / images_name, tmp_path):
        data = load(str(source))
        np.testing.assert_array_equal(data.images[..., 0], images)
        assert data.labels is not None and data.labels.tolist() == labels.tolist()


def test_labels_of_any_size_take_no_memory(tmp_path: Path, noise: Noise) -> None:
    np.savez(tmp_path / "x.npz", images=noise(3, 28, 28), labels=np.array([0, 2**40, 1]))
    assert load(str(tmp_path / "x.npz")).class_names == ("0", "1", str(2**40))
    np.savez(tmp_path / "x.npz", images=noise(3, 28, 28), labels=np.array([0, 2**63, 1], np.uint64))
    assert load(str(tmp_path / "x.npz")).class_names == ("0", "1", str(2**63))


@pytest.mark.parametrize("shape", [(5, 0, 28), (5, 28, 0), (5, 28, 28, 0)])
def test_images_without_pixels_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, np.uint8))
    with pytest.raises(DataError, match=r"x\.npy: holds images of .*, which have no pixels"):
        load(str(tmp_path / "x.npy"))
    if len(shape) == 3:
        with pytest.raises(DataError, match="which have no pixels"):
            load(str(idx(tmp_path / "x.gz", np.zeros(shape, np.uint8))))


def test_a_member_that_is_no_array_is_named(tmp_path: Path, noise: Noise) -> None:
    np.savez(tmp_path / "x.npz", images=noise(3, 28, 28))
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(DataError, match=r"x\.npz: holds 'readme\.txt', which is not an array"):
        load(str(tmp_path / "x.npz"))


def test_the_images_can_be_written_to_and_lie_in_order(tmp_path: Path, noise: Noise) -> None:
    data = load(str(idx(tmp_path / "x-images-idx3-ubyte.gz", noise(3, 28, 28))))
    assert data.images.flags.writeable
    assert data.images.flags.c_contiguous


def squeezed(content: bytes) -> bytes:
    """Without the time, which would be a part of a test's name."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.gz", squeezed(b"a" * 999)[:9] + b"garbage" * 9, "is not a complete gzip file"),
        ("x.gz", squeezed(b"\0\0\x08\0"), "is not an IDX file"),
        ("x.gz", b"no gzip", "is not a complete gzip file"),
        ("x.gz", squeezed(b"abcdefgh" * 9)[:-9], "is not a complete gzip file"),
        ("x.gz", squeezed(b"abcdefgh"), "is not an IDX file"),
        ("x.gz", squeezed(b"\0\0\x08\x03" + struct.pack(">3i", 5, 28, 28) + b"short"), "5 bytes follow"),
        ("x.bin", b"12345", "not a whole number of CIFAR-10 records"),
        ("x.bin", bytes([200]) * 3073, "holds label 200"),
        ("x.npy", b"\x93NUMPY", "is not a readable"),
        ("x.npz", b"PK\x03\x04", "is not a readable"),
        ("x.gz", squeezed(b"\0\0\x08\x42" + struct.pack(">66i", *[1] * 66) + b"1"), "an array of 66 dimensions"),
        ("x-images-idx3-ubyte", b"\0\0\x08\x42" + struct.pack(">66i", *[1] * 66) + b"1", "an array of 66 dimensions"),
        ("x.gz", squeezed(b"\0\0\x08\x04" + struct.pack(">4i", *[2**16] * 4)), "0 bytes follow"),  # 2**64 of them
        ("x.zip", b"PK", "is not a readable .zip"),
        ("x.rar", b"Rar!", "For pictures, name their folder"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: .*{sentence}"):
        load(str(tmp_path / name))


def test_pickles_in_numpy_files_are_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(DataError, match="is not a readable"):
        load(str(tmp_path / "x.npy"))


def test_floats_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((5, 28, 28)))
    with pytest.raises(DataError, match=r"exactly one uint8 array .* 'images' of float64 \[5, 28, 28\]"):
        load(str(tmp_path / "x.npy"))


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no PNG, JPEG, WebP, TIFF or other picture"):
        load(str(tmp_path))
    with pytest.raises(DataError, match="no such file or folder"):
        load(str(tmp_path / "absent"))


def test_labels_that_do_not_fit_are_refused(tmp_path: Path, noise: Noise) -> None:
    images = noise(3, 28, 28)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"y": np.array(["a", "b", "c"])}, "integer labels"),
        ({"y": np.array([0, 1])}, "integer labels"),
        ({"y": np.array([0, -1, 1])}, "labels from -1 to 1: they must be 0 or more"),
        (
            {"y": np.array([0, 2, 1]), "classes": np.array(["a", "b"])},
            "labels from 0 to 2 do not fit 2 classes: they must be 0 to 1",
        ),
    ]
    for arrays, sentence in wrong:
        np.savez(tmp_path / "x.npz", x=images, **arrays)
        with pytest.raises(DataError, match=sentence):
            load(str(tmp_path / "x.npz"))


def test_a_decoder_that_fails_in_its_own_way_spoils_one_file_only(
    tmp_path: Path, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(120):
        save(tmp_path / f"{number:03}.png", noise(28, 28, 3))
    real = ImageOps.exif_transpose

    def fails(picture: Image.Image, *, in_place: Literal[True]) -> None:
        if picture.filename.endswith("007.png"):  # type: ignore[attr-defined]
            raise struct.error("unpack requires a buffer of 4 bytes")
        real(picture, in_place=in_place)

    monkeypatch.setattr(ImageOps, "exif_transpose", fails)
    data = load(str(tmp_path), 28)
    assert len(data.images) == 119
    assert "007.png" in data.skipped[0]


def test_the_digest_of_the_images_follows_pixels_and_shape(tmp_path: Path, noise: Noise) -> None:
    images = noise(4, 28, 28)
    np.save(tmp_path / "a.npy", images)
    np.save(tmp_path / "b.npy", images[::-1])
    first, again, other = (load(str(tmp_path / name)).sha256() for name in ("a.npy", "a.npy", "b.npy"))
    assert first == again != other


def test_more_than_memory_is_an_error_that_says_how_much(
    tmp_path: Path, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        save(tmp_path / f"{number}.png", noise(28, 28, 3))
    memory = psutil.virtual_memory()._replace(available=2**17)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(DataError, match=r"20 images of 128x128x3 need 0.0 GiB of memory; 0.0 GiB are free"):
        load(str(tmp_path), 128)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.bin", "x-images-idx3-ubyte.gz"])
def test_a_file_that_memory_does_not_hold_is_refused_before_it_is_read(
    tmp_path: Path, noise: Noise, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    images = noise(200, 28, 28)
    if name.endswith(".gz"):
        idx(tmp_path / name, images)
    elif name == "x.npz":
        np.savez(tmp_path / name, images)
    elif name == "x.npy":
        np.save(tmp_path / name, images)
    else:
        (tmp_path / name).write_bytes(bytes(3073 * 60))
    memory = psutil.virtual_memory()._replace(available=2**17)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(DataError, match="GiB are free"):
        load(str(tmp_path / name))


def test_a_device_too_small_for_the_images_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of its free memory is left to the networks."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10 * 2**30, 80 * 2**30))
    device = torch.device("cuda")
    check_device_memory(8 * 2**30, device)
    with pytest.raises(DataError, match=r"need 9.0 GiB on the device, which has 10.0 GiB free.*--device cpu"):
        check_device_memory(9 * 2**30, device)
    check_device_memory(2**50, torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 2**40))
    config = configured()
    with pytest.raises(DataError, match="on the device"):  # and not an error of torch, half way through the copy
        Batches(ImageData(np.zeros((2, 28, 28, 1), np.uint8)), config, device, 0)
