"""`drawwell judge`."""

from pathlib import Path

import numpy as np
from PIL import Image

from drawwell.files.discriminator_file import read_discriminator
from drawwell.files.generator_file import read_generator
from tests import graphs
from tests.conftest import drawwell


def picture(path: Path, level: int) -> Path:
    Image.fromarray(np.full((40, 60), level, np.uint8)).save(path)
    return path


def rows(said: str) -> list[str]:
    return [" ".join(line.split()) for line in said.splitlines()]


def test_it_says_of_each_picture_where_it_stands(tmp_path: Path) -> None:
    file = graphs.write(tmp_path / "generator.onnx", graphs.plain_model())
    graphs.write_discriminator(tmp_path / "discriminator.onnx", generator=read_generator(file).digest)
    bright, dark = picture(tmp_path / "bright.png", 150), picture(tmp_path / "dark.jpg", 50)
    for name in ("discriminator.onnx", "generator.onnx"):
        said = rows(drawwell("judge", str(tmp_path / name), str(bright), str(dark)).stdout)
        assert said[0] == str(bright)
        assert said[1:5] == [
            "Logit 150.000",
            "p(real) 100.0 %",
            "Among real pictures it looks more real than 50 % of 300 that were held out",
            "Among drawn pictures it looks more real than 100 % of 200 drawn ones",
        ]
        assert said[6] == str(dark)
        assert said[-1].startswith("plain: in 100% of the pairs of a held-out real picture and a drawn one")


def test_it_names_the_class_or_takes_one(tmp_path: Path) -> None:
    file = graphs.write_discriminator(tmp_path / "d.onnx", "dark", "light", loss="hinge", real_target=None)
    bright = picture(tmp_path / "bright.png", 250)
    said = rows(drawwell("judge", str(file), str(bright)).stdout)
    assert said[1] == "Logit 1250.000"
    assert said[2] == "p(real) none: the hinge loss asks for logits beyond 1 and -1, not for probabilities"
    assert "Class light" in said
    assert "it is right for 75% of 300 held-out real pictures" in said[-1]
    given = rows(drawwell("judge", str(file), str(bright), "--label", "dark").stdout)
    assert (given[1], "Class dark" in given) == ("Logit 250.000", True)
    assert "there is no class 'blue'" in drawwell("judge", str(file), str(bright), "--label", "blue", code=1).stderr


def test_bad_pictures_are_named_and_the_others_judged(tmp_path: Path) -> None:
    file, good = graphs.write_discriminator(tmp_path / "d.onnx"), picture(tmp_path / "good.png", 9)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = drawwell("judge", str(file), str(tmp_path / "bad.png"), str(good), str(tmp_path / "gone.png"), code=1)
    assert "Logit 9.000" in rows(done.stdout)
    assert "2 of 3 pictures cannot be judged" in done.stderr
    assert f"{tmp_path / 'bad.png'}: is no picture in one of the formats" in done.stderr
    assert f"{tmp_path / 'gone.png'}: no such file" in done.stderr


def test_a_generator_without_a_discriminator_says_how_to_get_one(tmp_path: Path) -> None:
    file = graphs.write(tmp_path / "generator.onnx", graphs.plain_model())
    said = drawwell("judge", str(file), str(picture(tmp_path / "x.png", 9)), code=1).stderr
    assert "is a generator, which judges no images, and no discriminator lies beside it: export the run again" in said
    said = drawwell("judge", "fashion", str(tmp_path / "x.png"), code=1).stderr
    assert "fashion: comes without a discriminator; these come with one: emoji, fashion-mixture" in said


def test_where_nothing_is_judged_nothing_is_said_of_judging(tmp_path: Path) -> None:
    file = graphs.write_discriminator(tmp_path / "d.onnx")
    assert drawwell("judge", str(file), str(tmp_path / "gone.png"), code=1).stdout == ""


def test_info_says_what_the_logits_mean(tmp_path: Path) -> None:
    file = graphs.write_discriminator(tmp_path / "d.onnx", "dark", "light")
    said = rows(drawwell("info", str(file)).stdout)
    assert said[0] == "plain"
    assert "Classes dark, light" in said
    assert any(line.startswith("Tells apart in 75% of the pairs") for line in said)
    assert f"Digest {read_discriminator(file).digest}" in said
    file.write_bytes(file.read_bytes()[:-9])
    assert "cut short" in drawwell("info", str(file), code=1).stderr


def test_a_discriminator_of_another_generator_is_refused(tmp_path: Path) -> None:
    file = graphs.write(tmp_path / "generator.onnx", graphs.plain_model())
    graphs.write_discriminator(tmp_path / "discriminator.onnx")
    said = drawwell("judge", str(file), str(picture(tmp_path / "x.png", 9)), code=1).stderr
    assert "discriminator.onnx: belongs to the generator 000000000000, and this is" in said
