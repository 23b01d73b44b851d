"""What a logit means: its place among others, and the probability where it is one."""

import math
from pathlib import Path

import numpy as np
import pytest

from drawwell.errors import GeneratorFileError
from drawwell.files.discriminator_card import LogitQuantiles, LogitScale
from drawwell.files.discriminator_file import discriminator_beside, read_discriminator
from drawwell.files.generator_file import read_generator
from tests import graphs


def test_a_percentile_is_the_share_of_lower_logits() -> None:
    logits = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    measured = LogitQuantiles.of(logits)
    assert measured.pictures == 5000
    for logit in (-1.3, 0.0, 0.7, 2.1):
        assert measured.percentile(logit) == pytest.approx(100 * (logits < logit).mean(), abs=0.5)
    assert (measured.percentile(-50), measured.percentile(50)) == (0, 100)


def test_of_equal_logits_half_are_lower() -> None:
    assert LogitQuantiles.of(np.full(40, 3.0, np.float32)).percentile(3.0) == 50
    half = LogitQuantiles.of(np.repeat([1.0, 2.0], 500).astype(np.float32))
    assert half.percentile(1.0) == pytest.approx(25, abs=1)
    assert half.percentile(1.5) == pytest.approx(50, abs=1)


def test_the_area_under_the_curve_is_the_share_of_right_pairs() -> None:
    chance = np.random.default_rng(1)
    real, drawn = (chance.integers(0, 9, count).astype(np.float32) for count in (80, 130))
    pairs = [(a > b) + (a == b) / 2 for a in real for b in drawn]
    assert LogitScale.of(real, drawn).roc_auc == pytest.approx(np.mean(pairs))


def test_p_real_is_the_sigmoid_only_where_it_is_a_probability(tmp_path: Path) -> None:
    def card(**changes: object) -> object:
        return read_discriminator(graphs.write_discriminator(tmp_path / "d.onnx", **changes)).card

    sigmoid = 1 / (1 + math.exp(-0.4))
    assert card().probability(0.4) == pytest.approx(sigmoid)  # type: ignore[attr-defined]
    smoothed = card(real_target=0.9)
    assert smoothed.probability(0.4) == pytest.approx(sigmoid / 0.9)  # type: ignore[attr-defined]
    assert smoothed.probability(9.0) == 1  # type: ignore[attr-defined]
    assert card().probability(-1e5) == 0  # type: ignore[attr-defined]
    for loss in ("hinge", "wasserstein", "relativistic"):
        other = card(loss=loss, real_target=None)
        assert other.probability(0.4) is None  # type: ignore[attr-defined]
        assert "probabilit" in other.in_words()["Loss"]  # type: ignore[attr-defined]


def test_a_generator_is_no_discriminator_and_the_other_way_round(tmp_path: Path) -> None:
    generator = graphs.write(tmp_path / "generator.onnx", graphs.plain_model())
    discriminator = graphs.write_discriminator(tmp_path / "discriminator.onnx")
    with pytest.raises(GeneratorFileError, match="is a generator, which judges no images"):
        read_discriminator(generator)
    with pytest.raises(GeneratorFileError, match="is a discriminator, which judges images and draws none"):
        read_generator(discriminator)


def test_a_damaged_discriminator_is_refused(tmp_path: Path) -> None:
    file = graphs.write_discriminator(tmp_path / "discriminator.onnx")
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(GeneratorFileError, match=r"is damaged: its SHA-256 is not the sealed one"):
        read_discriminator(file)
    file.write_bytes(whole[:-10])
    with pytest.raises(GeneratorFileError, match="is no drawwell discriminator, or is cut short"):
        read_discriminator(file)


@pytest.mark.parametrize(
    ("generator", "discriminator"),
    [
        ("generator.onnx", "discriminator.onnx"),
        ("generator-cuda.onnx", "discriminator-cuda.onnx"),
        ("cats.onnx", "cats-discriminator.onnx"),
    ],
)
def test_a_discriminator_lies_beside_its_generator(generator: str, discriminator: str) -> None:
    assert discriminator_beside(Path("runs/x") / generator) == Path("runs/x") / discriminator
