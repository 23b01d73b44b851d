"""A judge: pictures of any size in, opinions out."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawwell import Engine, GeneratorFileError, Judge, PictureError, ProviderError, RequestError
from drawwell.files.discriminator_card import KnownLogits
from drawwell.formats import pictures
from drawwell.opening import bundled, find_discriminator, find_file
from drawwell_train.data.decode import decode_all
from tests import graphs
from tests.bombs import jpeg_of_comments, jpeg_of_scans, png_bomb, png_of_chunks

CLASSES = ("dark", "grey", "light")


def level(value: int, count: int = 1) -> np.ndarray:
    return np.full((count, *graphs.SHAPE), value, np.uint8)


def test_a_picture_is_placed_among_real_and_among_drawn_ones(tmp_path: Path) -> None:
    with Judge(graphs.write_discriminator(tmp_path / "d.onnx")) as judge:
        (bright,) = judge.judge(level(150))
        (dark,) = judge.judge(level(50))
    assert bright.logit == 150
    assert bright.percentile_real == pytest.approx(50, abs=0.1)
    assert (bright.percentile_drawn, bright.label) == (100, None)
    assert dark.percentile_real == 0
    assert dark.percentile_drawn == pytest.approx(50, abs=0.1)


def test_without_a_label_a_picture_is_judged_under_the_class_that_is_named(tmp_path: Path) -> None:
    with Judge(graphs.write_discriminator(tmp_path / "d.onnx", *CLASSES)) as judge:
        found = judge.judge(np.concatenate([level(20), level(120), level(250)]))
        assert [one.class_name for one in found] == list(CLASSES)
        assert [one.logit for one in found] == [20, 1120, 2250]
        assert found[0].percentile_drawn == pytest.approx(1)  # on the scale of named classes
        (given,) = judge.judge(level(20), "light")
        assert (given.logit, given.label, given.class_name) == (2020, 2, "light")
        assert given.percentile_drawn == 100  # on the scale of given ones
        assert [one.label for one in judge.judge(level(20, 3), [0, "grey", 2])] == [0, 1, 2]
        with pytest.raises(RequestError, match="there is no class 'blue'"):
            judge.judge(level(20), "blue")


def test_a_picture_is_judged_alike_alone_and_among_many(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (200, *graphs.SHAPE)).astype(np.uint8)
    with Judge(graphs.write_discriminator(tmp_path / "d.onnx", *CLASSES)) as judge:
        together = judge.judge(images)
        assert together == [judge.judge(image[None])[0] for image in images]
        assert judge.judge(images[:0]) == []


@pytest.mark.parametrize(
    "images", [np.zeros((1, 3, 2, 1), np.uint8), np.zeros((1, 2, 3, 1)), np.zeros((2, 3, 1), np.uint8)]
)
def test_images_of_another_shape_or_type_are_refused(tmp_path: Path, images: np.ndarray) -> None:
    with (
        Judge(graphs.write_discriminator(tmp_path / "d.onnx")) as judge,
        pytest.raises(RequestError, match=r"images must be uint8 \[N, 2, 3, 1\]"),
    ):
        judge.judge(images)


def test_a_file_that_computes_other_logits_than_it_knows_is_refused(tmp_path: Path) -> None:
    wrong = KnownLogits(((1.0,),) * 4, 1e-3)
    with pytest.raises(ProviderError, match="the logits of its known pictures are off by"):
        Judge(graphs.write_discriminator(tmp_path / "d.onnx", known_logits=wrong))


def test_what_is_no_discriminator_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(GeneratorFileError, match="no such file"):
        Judge(tmp_path / "nothing.onnx")
    with pytest.raises(GeneratorFileError, match="do not fit its card"):
        Judge(graphs.write_discriminator(tmp_path / "d.onnx", height=5))


def test_a_closed_judge_says_so_and_a_pickled_one_opens_again(tmp_path: Path) -> None:
    judge = Judge(graphs.write_discriminator(tmp_path / "d.onnx"))
    again = pickle.loads(pickle.dumps(judge))
    judge.close()
    with pytest.raises(RequestError, match="this judge is closed"):
        judge.judge(level(1))
    assert again.judge(level(7))[0].logit == 7
    again.close()


def pictures_of_all_kinds(folder: Path) -> list[Path]:
    chance = np.random.default_rng(0)
    noise = Image.fromarray(chance.integers(0, 256, (90, 200, 3)).astype(np.uint8))
    large = noise.resize((3000, 1000))
    turned = Image.Exif()
    turned[0x0112] = 6
    noise.save(folder / "wide.png")
    noise.convert("RGBA").save(folder / "see-through.webp", lossless=True)
    large.save(folder / "large.jpg", quality=80)
    large.save(folder / "turned.jpg", exif=turned)
    large.save(folder / "progressive.jpg", progressive=True)
    Image.fromarray(chance.integers(0, 2**16, (40, 50)).astype(np.uint16)).save(folder / "16-bit.png")
    noise.convert("P").save(folder / "palette.gif")
    noise.resize((1, 9)).save(folder / "narrow.png")
    return sorted(folder.iterdir())


def test_pictures_are_fitted_as_training_fits_them(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    files = pictures_of_all_kinds(folder)
    expected, kept, skipped = decode_all(files, graphs.SHAPE)
    assert len(kept) == len(files) == 8, skipped
    with Judge(graphs.write_discriminator(tmp_path / "d.onnx")) as judge:
        for file, image in zip(files, expected, strict=True):
            np.testing.assert_array_equal(judge.read(file), image, file.name)
        assert [one.logit for one in judge.judge_files(files)] == pytest.approx(expected.mean((1, 2, 3)).tolist())


@pytest.mark.parametrize("content", [jpeg_of_scans(64, 50), jpeg_of_comments(900), png_of_chunks(16_000)])
def test_an_unusual_picture_within_the_bounds_is_decoded(content: bytes) -> None:
    assert pictures.decode(content, graphs.SHAPE).shape == graphs.SHAPE


def test_metadata_that_looks_like_scans_is_none() -> None:
    beginning, end = (whole := jpeg_of_scans(64, 1))[:2], whole[2:]
    comment = b"\xff\xfe" + (2 + 400).to_bytes(2, "big") + 200 * b"\xff\xda"
    assert pictures.decode(beginning + comment + end, graphs.SHAPE).shape == graphs.SHAPE


def test_pictures_that_cannot_be_decoded_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    whole = tmp_path / "whole.png"
    noise.save(whole)
    noise.resize((100, 100)).save(tmp_path / "large.png")
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:400])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "bomb.png").write_bytes(png_bomb())
    (tmp_path / "scans.jpg").write_bytes(jpeg_of_scans(64, 100))
    (tmp_path / "comments.jpg").write_bytes(jpeg_of_comments(1001))
    (tmp_path / "chunks.png").write_bytes(png_of_chunks(2**14))
    monkeypatch.setattr(pictures, "MAX_PIXELS", 5000)
    with Judge(graphs.write_discriminator(tmp_path / "d.onnx")) as judge:
        for name, sentence in {
            "cut.png": "cannot be decoded",
            "text.png": "is no picture in one of the formats PNG, JPEG",
            "bomb.png": "has too many pixels",
            "large.png": "at most 0.0 megapixels are decoded: make it smaller",
            "scans.jpg": "scans, and 64 are decoded: save it again",
            "comments.jpg": "has more than 1,000 segments before its pixels",
            "chunks.png": "has more than 16,384 chunks",
            "nothing.png": "no such file",
            ".": "is not a file",
        }.items():
            with pytest.raises(PictureError, match=sentence) as said:
                judge.read(tmp_path / name)
            assert str(said.value).startswith(str(tmp_path / name) + ": " if name != "." else str(tmp_path))


@pytest.mark.parametrize("name", ["emoji", "fashion-mixture"])
def test_a_bundled_discriminator_judges_for_its_generator(name: str) -> None:
    file = find_discriminator(name)
    assert file.name == f"{name}-discriminator.onnx"
    assert file.stat().st_size <= 4_000_000
    with Judge(file) as judge, Engine(find_file(name), threads=1) as engine:
        assert judge.card.class_names == engine.card.class_names
        first = engine.card.members[0] if engine.card.members else engine.card.training
        assert (judge.card.training.config_sha256, judge.card.training.steps) == (first.config_sha256, first.steps)
        percentiles = [one.percentile_drawn for one in judge.judge(engine.generate(1, 200).images)]
    assert 40 < np.mean(percentiles) < 60, "drawn pictures lie among drawn pictures"


def test_every_bundled_discriminator_lies_beside_a_bundled_generator() -> None:
    found = {file.name for file in find_file("emoji").parent.glob("*-discriminator.onnx")}
    assert found <= {f"{name}-discriminator.onnx" for name in bundled()}
    assert not any("discriminator" in name for name in bundled())
