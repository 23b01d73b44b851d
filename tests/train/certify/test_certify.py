"""`drawwell certify`: its statistics, with generators whose worth is known, and each bad input."""

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from drawwell.cli.main import run
from drawwell.errors import SelectionError
from drawwell.files.certified import Accuracy, Uplift
from drawwell.files.selection import Selection
from drawwell.generator import Images
from drawwell_train.certify import main as command
from drawwell_train.certify.certificate import Certificate, CertificateError, Options, read, write
from drawwell_train.certify.images import Labelled, drawn_images, read_real, selected_images
from drawwell_train.certify.measure import certify, generator_saw, inputs_of
from drawwell_train.certify.verdict import equivalent, helps, verdict, worth
from drawwell_train.data import dataset
from drawwell_train.data.classes import LabelArray
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation import record
from drawwell_train.evaluation.source import Source, open_source
from drawwell_train.run import checkpoint
from tests.train.evaluation import makers

NAMES = tuple("0123456789")
SHAPE = 14, 14, 1
"""Digits of half the size: each of the many classifiers learns in a quarter of the time."""
SHARES = 0.1, 1.0


@pytest.fixture(scope="module")
def files(digits: ImageData, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """1,000 digits to learn from and 500 others to test with, as files."""
    folder = tmp_path_factory.mktemp("digits")
    order = np.random.default_rng(0).permutation(5000)
    return saved(folder / "train.npz", digits, order[:1000]), saved(folder / "test.npz", digits, order[1000:1500])


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return dataset.load("digits")


def saved(path: Path, data: ImageData, rows: np.ndarray, every: int = 2) -> str:
    assert data.labels is not None
    np.savez(path, images=data.images[rows][:, ::every, ::every], labels=data.labels[rows])
    return str(path)


def with_addresses(source: Source) -> Source:
    """The classes of its addresses in turns."""
    return replace(
        source,
        digest="0" * 64,
        labels_at=lambda _, indices: np.arange(indices.start, indices.stop, dtype=np.int64) % 10,
    )


def noise() -> Source:
    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:  # noqa: ARG001
        return np.random.default_rng([seed, indices.start]).integers(0, 256, (len(indices), *SHAPE)).astype(np.uint8)

    return with_addresses(makers.source(draw, SHAPE, NAMES))


def options_of(files: tuple[str, str], images: int, images_seen: int = 7680) -> Options:
    return Options("made", *files, None, SHARES, (0.5,), 2, images_seen, 0, images, False, False)


def measured(source: Source, files: tuple[str, str], folder: Path, images: int, said: list[str]) -> Certificate:
    real, drawn = read_real(*files, source, False), drawn_images(source, 0, images)
    options = options_of(files, images)
    return certify(source, real, drawn, inputs_of(source, real, drawn, None, 0), options, folder, said.append)


@pytest.fixture(scope="module")
def copied(files: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, Path]:
    """The certificate of a generator that returns 300 of the real training images."""
    torch.set_num_threads(1)
    real = read_real(*files, noise(), False)
    source = with_addresses(makers.copier(ImageData(real.learn.images, real.learn.labels, NAMES)))
    folder = tmp_path_factory.mktemp("copied")
    return measured(source, files, folder, 300, []), folder


def test_copies_of_real_images_are_worth_about_as_many_real_ones(copied: tuple[Certificate, Path]) -> None:
    certificate, _ = copied
    found = equivalent(certificate.rows, certificate.drawn.mean)
    assert found is not None
    assert 120 < found < 750
    assert certificate.copying > 0.95
    assert certificate.rows[0].both.mean > certificate.rows[0].real.mean
    assert "REAL ONES" in certificate.worth


def test_noise_is_found_useless_loudly(files: tuple[str, str], copied: tuple[Certificate, Path]) -> None:
    said: list[str] = []
    certificate = measured(noise(), files, copied[1], 300, said)
    of_real = [line for line in said if line.endswith("of the real images")]
    assert of_real
    assert all(": kept: " in line for line in of_real), "certificates of the same real images share a folder"
    assert all(": training: " in line for line in said if "drawn" in line and "seed 1" in line)
    assert certificate.drawn.mean < 0.3
    assert not any(row.helps for row in certificate.rows)
    assert certificate.verdict.count("DRAWN IMAGES DO NOT HELP") == len(SHARES)
    assert "WORTH LESS THAN 84 REAL ONES, THE FEWEST THAT WERE TRIED" in certificate.worth


def test_finished_classifiers_are_not_trained_again(copied: tuple[Certificate, Path], files: tuple[str, str]) -> None:
    before, folder = copied
    real = read_real(*files, noise(), False)
    source = with_addresses(makers.copier(ImageData(real.learn.images, real.learn.labels, NAMES)))
    said: list[str] = []
    again = measured(source, files, folder, 300, said)
    assert replace(again, kept=0) == before
    assert again.kept == len({line.partition(": kept: ")[2] for line in said})
    assert all(": kept: " in line for line in said)


def test_a_certificate_survives_its_file_and_says_what_it_is(copied: tuple[Certificate, Path], tmp_path: Path) -> None:
    certificate, _ = copied
    write(tmp_path / "certificate.json", certificate)
    assert read(tmp_path / "certificate.json") == certificate
    text = certificate.in_words()
    assert text.startswith("IT IS NOT KNOWN WHICH REAL IMAGES THE GENERATOR SAW")
    for words in (
        "real only",
        "drawn only",
        "real + drawn",
        "shifts of each batch by up to 2 pixels",
        "seed 0, indices 0 to 299",
    ):
        assert words in text


def test_a_certificate_of_another_version_is_refused(copied: tuple[Certificate, Path], tmp_path: Path) -> None:
    write(tmp_path / "new.json", replace(copied[0], version=2))
    with pytest.raises(CertificateError, match="is of version 2"):
        read(tmp_path / "new.json")
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(CertificateError, match="holds no certificate"):
        read(tmp_path / "none.json")


def test_a_test_set_that_overlaps_is_refused_above_one_in_a_hundred(files: tuple[str, str], tmp_path: Path) -> None:
    train, test = (dict(np.load(name)) for name in files)
    few, many = tmp_path / "few.npz", tmp_path / "many.npz"
    for path, count in ((few, 5), (many, 6)):
        images, labels = (np.concatenate([train[name][:count], test[name][count:]]) for name in ("images", "labels"))
        np.savez(path, images=images, labels=labels)
    assert read_real(files[0], str(few), noise(), False).overlap == 5
    with pytest.raises(DataError, match=r"6 of its 500 images are in .*, too"):
        read_real(files[0], str(many), noise(), False)


def test_data_without_classes_is_refused(files: tuple[str, str], tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.load(files[0])["images"])
    with pytest.raises(DataError, match="has no classes"):
        read_real(str(tmp_path / "plain.npy"), files[1], noise(), False)


def test_other_classes_than_the_generators_are_refused(files: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="certify with data of exactly the generator's classes"):
        read_real(*files, replace(noise(), class_names=("cat", "dog")), False)


def test_too_few_images_for_a_share_are_refused(files: tuple[str, str]) -> None:
    real = read_real(*files, noise(), False)
    with pytest.raises(DataError, match=r"1 % of the real images are 0 of class .* at least 2 are needed"):
        real.share(0.01)


def test_a_smaller_share_is_a_part_of_a_larger_one_and_validation_of_none(files: tuple[str, str]) -> None:
    real = read_real(*files, noise(), False)
    small, large, held = (
        {one.tobytes() for one in part.images} for part in (real.share(0.1), real.share(0.5), real.validation)
    )
    assert small < large
    assert not held & {one.tobytes() for one in real.learn.images}


def test_a_written_share_is_what_a_generator_of_that_share_saw(
    digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = (saved(tmp_path / f"{at}.npz", digits, np.arange(at, 5000, 10), 1) for at in (0, 1))
    words = ["certify", "--data", train, "--write-share", "0.1", "--out", str(tmp_path / "part.npz")]
    assert run(words) == 0
    part, real = (
        dataset.load(str(tmp_path / "part.npz")),
        read_real(train, test, replace(noise(), shape=(28, 28, 1)), False),
    )
    assert part.labels is not None
    assert part.images.tobytes() == real.share(0.1).images.tobytes()
    saw = [part.sha256(with_labels=True)]
    said = "The generator saw the 40 real images of the row of 10 %, and no others."
    assert generator_saw(saw, real, SHARES) == said
    assert generator_saw(saw, real, (0.05, *SHARES)).startswith(
        f"{said} ACCURACIES WITH FEWER THAN 40 REAL IMAGES DO NOT"
    )
    assert run(words) == 1
    assert run([*words[:-1], "part.npy"]) == 1
    error = capsys.readouterr().err
    assert "part.npz: exists already" in error
    assert "--write-share needs --data, and --out" in error


def test_data_that_cannot_be_learned_gets_no_certificate(files: tuple[str, str], tmp_path: Path) -> None:
    real = read_real(*files, noise(), False)
    shuffled = replace(real, learn=Labelled(real.learn.images, np.random.default_rng(1).permutation(real.learn.labels)))
    drawn, options = drawn_images(noise(), 0, 300), options_of(files, 300)
    inputs = inputs_of(noise(), real, drawn, None, 0)
    with pytest.raises(DataError, match="a classifier cannot learn the real images, so there is no certificate"):
        certify(noise(), shuffled, drawn, inputs, options, tmp_path, lambda _: None)


def test_a_selection_is_drawn_with_its_labels_and_only_from_its_generator() -> None:
    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
        assert labels is not None
        rows = np.stack([np.arange(indices.start, indices.stop) % 251, labels, np.full(len(indices), seed)], 1)
        return rows.astype(np.uint8).reshape(-1, 1, 1, 3)

    source = with_addresses(makers.source(draw, (1, 1, 3), NAMES))
    indices = np.array([3, 5, 3000])
    found = selected_images(source, Selection("0" * 64, 7, indices, np.array([9, 8, 7])))
    assert found.labels.tolist() == [9, 8, 7]
    assert found.images.reshape(-1, 3).tolist() == [[3, 9, 7], [5, 8, 7], [3000 % 251, 7, 7]]
    assert selected_images(source, Selection("0" * 64, 7, indices)).labels.tolist() == [3, 5, 0]
    with pytest.raises(SelectionError, match="the selection is of generator ffffffffffff"):
        selected_images(source, Selection("f" * 64, 7, indices))


def row(images: int, real: float, both: float, helpful: bool = False) -> Uplift:
    return Uplift(images / 1000, images, Accuracy(real, 0.01), Accuracy(both, 0.01), 0.5, helpful, "0", 0.0)


def test_the_equivalent_lies_on_the_curve_of_real_images() -> None:
    rows = [row(10, 0.5, 0.6), row(100, 0.7, 0.7), row(1000, 0.9, 0.8)]
    assert equivalent(rows, 0.7) == pytest.approx(100)
    assert equivalent(rows, 0.6) == pytest.approx(10**1.5)
    assert "LESS THAN 10 REAL ONES" in worth(rows, Accuracy(0.4, 0), 50)
    assert "AT LEAST 1,000 REAL ONES" in worth(rows, Accuracy(0.95, 0), 50)


def test_help_and_none_are_said_equally_loud() -> None:
    assert helps(Accuracy(0.5, 0.01), Accuracy(0.53, 0.01), 3)
    assert not helps(Accuracy(0.5, 0.01), Accuracy(0.51, 0.01), 3)
    lines = verdict([row(10, 0.5, 0.6, True), row(1000, 0.9, 0.8)]).splitlines()
    assert lines[0] == "DRAWN IMAGES HELP at 1 % of the real images (10): +10.00 points."
    assert lines[1] == "DRAWN IMAGES DO NOT HELP at 100 % of the real images (1,000): -10.00 points."


def test_a_run_that_saw_all_of_the_data_says_so_first(tiny_run: Path, files: tuple[str, str]) -> None:
    seen = open_source(str(tiny_run)).data_sha256
    real = replace(read_real(*files, noise(), False), data_sha256=seen[0])
    for parts in (seen, seen * 3):
        assert generator_saw(parts, real, SHARES).startswith("THE GENERATOR SAW ALL REAL IMAGES")


def test_a_generator_of_which_nothing_is_known_says_so_first(files: tuple[str, str]) -> None:
    real = read_real(*files, noise(), False)
    for parts in ([""], ["1" * 64, "2" * 64], ["1" * 64]):
        assert generator_saw(parts, real, SHARES).startswith("IT IS NOT KNOWN WHICH REAL IMAGES THE GENERATOR SAW")


def test_what_learned_from_the_test_images_gets_no_certificate(files: tuple[str, str]) -> None:
    real, drawn = read_real(*files, noise(), False), drawn_images(noise(), 0, 10)
    with pytest.raises(DataError, match="the generator learned from the images of --test"):
        inputs_of(replace(noise(), data_sha256=(real.test_sha256,)), real, drawn, None, 0)
    selection = Selection("0" * 64, 7, np.arange(10), how={"gate": {"all_sha256": real.test_sha256}})
    with pytest.raises(DataError, match="the generator or its selection learned from the images of --test"):
        inputs_of(noise(), real, drawn, selection, 0)
    inputs = inputs_of(noise(), real, drawn, replace(selection, how={"gate": {"all_sha256": "3" * 64}}), 0)
    assert (inputs.gate_data, inputs.selection) == (
        "3" * 64,
        replace(selection, how={"gate": {"all_sha256": "3" * 64}}).sha256,
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fashion", "--data", "digits"], "name a GENERATOR, --data and --test"),
        (["fashion", "--data", "a", "--test", "b", "--seeds", "1"], "--seeds must be at least 3"),
        (["fashion", "--data", "a", "--test", "b", "--shares", "0"], "--shares must be above 0"),
        (["fashion", "--data", "a", "--test", "b", "--shares", "1", "0.5"], "--shares must be ascending"),
        (["fashion", "--data", "a", "--test", "b", "--count", "0"], "--count must be at least 1"),
        (["fashion", "--data", "a", "--test", "b", "--threads", "0"], "--threads must be at least 1"),
        (["--repeat", "nowhere.json"], "nowhere.json: cannot be read"),
    ],
)
def test_wrong_options_are_refused(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["certify", *words]) == 1
    assert sentence in capsys.readouterr().err


def test_the_command_writes_a_certificate_and_repeats_it(
    files: tuple[str, str],
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arrays = np.load(files[0])
    made = shutil.copytree(tiny_run, tmp_path / "made", ignore=shutil.ignore_patterns("*.onnx"))
    newest = checkpoint.find(made, None)[0]
    copier = with_addresses(makers.copier(ImageData(arrays["images"], arrays["labels"], NAMES)))
    copier = replace(copier, checkpoint=newest)
    monkeypatch.setattr(command, "open_source", lambda *_: copier)
    monkeypatch.setattr(command, "_QUICK_IMAGES_SEEN", 2560)
    out = tmp_path / "out"
    words = [
        str(made),
        "--data",
        files[0],
        "--test",
        files[1],
        "--quick",
        "--shares",
        "0.5",
        "1",
        "--seeds",
        "3",
        "--threads",
        "1",
    ]
    assert run(["certify", *words, "--count", "200", "--out", str(out)]) == 0
    assert (out / "uplift.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    file = out / "certificate.json"
    again = ["certify", "--repeat", str(file), "--threads", "1", "--out", str(tmp_path / "again")]
    assert run([*again[:-1], str(out)]) == 1
    assert "holds the certificate that is to be repeated" in " ".join(capsys.readouterr().err.split())
    for kept in (False, True):
        assert run(again) == 0
        said = capsys.readouterr().out
        assert "every SHA-256 is the same, and accuracies differ by at most 0.00 points" in said
        assert ("CLASSIFIERS WERE KEPT FROM BEFORE" in said) is kept
    found = msgspec.json.decode(file.read_bytes(), type=Certificate)
    assert found.options.shares == (0.5, 1.0)
    assert record.read_certificate(made, newest) == found.for_card(), "the export puts it into the card"
    longer = replace(found.for_card(), images_seen=300_000)
    record.write_certificate(made, newest, longer)
    assert run(again) == 0
    assert "keeps its certificate of classifiers that saw 300,000 images" in " ".join(capsys.readouterr().err.split())
    assert record.read_certificate(made, newest) == longer
    assert run([*again, "--test", files[1], "--data", files[1]]) == 1  # the test set as the data
    assert run(["certify", "--repeat", str(file), "--seeds", "5"]) == 1
    write(file, replace(found, inputs=replace(found.inputs, test="0" * 64)))
    assert run(again) == 1
    assert "--test: 0000000000" in capsys.readouterr().err
