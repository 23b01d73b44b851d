"""What is refused before anything is run."""

import base64
import dataclasses
import hashlib
import math
import random
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from drawwell.errors import GeneratorFileError
from drawwell.files.card import (
    MIXTURE_FORMAT,
    FeatureDistance,
    KnownAnswers,
    ModelCard,
    Parity,
    card_from_json,
    card_to_json,
)
from drawwell.files.generator_file import read_generator, seal
from drawwell.files.history import MOST_POINTS, TrainingHistory
from drawwell.files.sealed_file import FILE_LIMIT_BYTES
from tests import graphs


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return graphs.write(tmp_path / "plain.onnx", graphs.plain_model())


def test_a_whole_file_tells_its_card_and_digest(plain: Path) -> None:
    file = read_generator(plain)
    assert file.card == graphs.card()
    assert file.digest == hashlib.sha256(plain.read_bytes()).hexdigest()


def test_every_flip_and_cut_is_caught_by_the_seal(tmp_path: Path, tiny_generator: Path) -> None:
    whole, damaged = tiny_generator.read_bytes(), tmp_path / "damaged.onnx"
    chance = random.Random(0)
    for _ in range(350):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        damaged.write_bytes(flipped)
        with pytest.raises(GeneratorFileError, match=r"is damaged|does not end with a seal"):
            read_generator(damaged)
    for _ in range(150):
        damaged.write_bytes(whole[: chance.randrange(len(whole))])
        with pytest.raises(GeneratorFileError, match="cut short"):
            read_generator(damaged)


def test_bytes_behind_the_seal_are_refused(plain: Path) -> None:
    plain.write_bytes(plain.read_bytes() + b"\0")
    with pytest.raises(GeneratorFileError, match="does not end with a seal"):
        read_generator(plain)


def test_what_is_no_generator_is_named(tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("hello")
    with pytest.raises(GeneratorFileError, match=r"text.onnx: is no drawwell generator"):
        read_generator(text)
    unsealed = tmp_path / "unsealed.onnx"
    unsealed.write_bytes(graphs.plain_model().SerializeToString())
    with pytest.raises(GeneratorFileError, match="is no drawwell generator"):
        read_generator(unsealed)
    with pytest.raises(GeneratorFileError, match="no such file"):
        read_generator(tmp_path / "absent.onnx")
    with pytest.raises(GeneratorFileError, match="is not a file"):
        read_generator(tmp_path)


def test_a_gigantic_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "gigantic.onnx"
    with file.open("wb") as stream:
        stream.truncate(FILE_LIMIT_BYTES + 1)
    with pytest.raises(GeneratorFileError, match=r"at most 1 GiB"):
        read_generator(file)


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/passwd", "link.bin"])
def test_external_data_is_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "link.bin").symlink_to("/etc/passwd")
    model = graphs.plain_model()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    with pytest.raises(GeneratorFileError, match="lies in another file"):
        read_generator(graphs.write(tmp_path / "external.onnx", model))


@pytest.mark.parametrize("domain", ["com.microsoft", "my.ops"])
def test_operators_of_other_domains_are_refused(tmp_path: Path, domain: str) -> None:
    with pytest.raises(GeneratorFileError, match=rf"operators of the domain '{domain}'"):
        read_generator(graphs.write(tmp_path / "custom.onnx", graphs.plain_model(domain=domain)))


def test_another_format_version_says_what_to_do(tmp_path: Path) -> None:
    file = graphs.write(tmp_path / "newer.onnx", graphs.plain_model(), graphs.card(format_version=MIXTURE_FORMAT + 1))
    said = f"is written in format {MIXTURE_FORMAT + 1}, this drawwell reads 3 and 4"
    with pytest.raises(GeneratorFileError, match=said):
        read_generator(file)


@pytest.mark.parametrize(
    "changes",
    [
        {"prior": "cauchy"},
        {"latent_dim": 0},
        {"latent_dim": 2**33},
        {"channels": 2},
        {"height": "28"},
        {"width": 2**20},
        {"quality": {"kid": "good"}},
        {"known_answers": KnownAnswers(0, (0,) * 257, 1, 0, "")},
        {"members": (graphs.card().training,)},
        {"history": TrainingHistory(kid=((1, 0.5),) * (MOST_POINTS + 1))},
        {"history": TrainingHistory(d_real=((1, math.nan),))},
        {"history": TrainingHistory(d_fake=((1, 1e300),))},
        {"history": TrainingHistory(diversity=((-1, 1.0),))},
        {"history": TrainingHistory(diversity=(("<b>", 1.0),))},  # type: ignore[arg-type]
    ],
)
def test_a_card_is_validated_on_reading(tmp_path: Path, changes: dict[str, object]) -> None:
    file = graphs.write(tmp_path / "bad.onnx", graphs.plain_model(), graphs.card(**changes))
    with pytest.raises(GeneratorFileError, match="its card is not valid"):
        read_generator(file)


def test_curves_are_kept_and_a_card_without_them_has_no_field_for_them() -> None:
    card = graphs.card(history=TrainingHistory(kid=((500, 0.0123), (1000, -0.0004)), gives_probabilities=True))
    assert card_from_json(card_to_json(card)) == card
    assert b"history" not in card_to_json(graphs.card())


def test_a_sealed_file_without_a_card_is_refused(tmp_path: Path) -> None:
    class Nothing(msgspec.Struct):
        pass

    file = tmp_path / "empty.onnx"
    file.write_bytes(seal(graphs.plain_model(), Nothing()))  # type: ignore[arg-type]
    with pytest.raises(GeneratorFileError, match="format None"):
        read_generator(file)


def test_sealing_is_deterministic() -> None:
    assert seal(graphs.plain_model(), graphs.card()) == seal(graphs.plain_model(), graphs.card())


def test_the_card_is_told_in_words() -> None:
    words = ModelCard.in_words(graphs.card())
    assert words["Images"] == "2 x 3 pixels, grey"
    assert words["Quality"] == "not measured"
    assert words["Parity"] == "pixels differ from torch's by at most 0 of 255 levels (measured on 0 images)"


def test_rounded_numbers_are_told_in_words() -> None:
    parity = Parity(8192, (1, 7), 0.756, 7, 146, 0.2, FeatureDistance("the run's discriminator", 4096, 0.0124, 0.0131))
    assert parity.in_words() == (
        "pixels differ from torch's by 0.76 on average, by at most 7 in 99% of values, by at most 146 of 255 levels "
        "(measured on 8,192 images); Frechet distance to torch's images 1.31e-02 (torch's own images: 1.24e-02; "
        "features of the run's discriminator)"
    )


def test_known_answers_see_every_channel_and_stay_small() -> None:
    images = np.zeros((2, 128, 128, 3), np.uint8)
    known = KnownAnswers.of(0, (0, 1), images, 1)
    for channel in range(3):
        changed = images.copy()
        changed[..., channel] = 9
        assert known.distances(changed).tolist() == [9, 9]
    unpacked_large = base64.b64encode(zlib.compress(bytes(10**7))).decode()
    with pytest.raises(GeneratorFileError, match="known answers cannot be read"):
        dataclasses.replace(known, pixels=unpacked_large).distances(images)
    noise = np.random.default_rng(0).integers(0, 256, images.shape).astype(np.uint8)
    assert len(KnownAnswers.of(0, (0, 1), noise, 1).pixels) < 4000
