"""`drawwell evaluate` as a user meets it: a run, its exported file, its card, and what cannot be done."""

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from drawwell.cli.main import run
from drawwell.files.generator_file import read_generator
from drawwell.files.quality import Quality
from drawwell_train.data.images import ImageData
from drawwell_train.evaluation import record
from drawwell_train.evaluation.main import EvaluateConfig, main
from drawwell_train.evaluation.measure import evaluate
from drawwell_train.evaluation.reference import Sources, read_reference
from drawwell_train.evaluation.source import open_source
from drawwell_train.run import checkpoint
from tests.conftest import drawwell
from tests.train.evaluation import makers

BRIEFLY = ["--data", "digits", "--count", "200", "--no-classifier", "--threads", "1"]


@pytest.fixture(scope="module")
def copied(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run in a place of its own: measures are left in it."""
    return Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("copied") / "tiny"))


@pytest.fixture(scope="module")
def evaluated(copied: Path) -> tuple[str, str]:
    """Standard output and standard error of an evaluation of the run."""
    done = drawwell("evaluate", str(copied), *BRIEFLY)
    return done.stdout, " ".join(done.stderr.split())


def quality_of(folder: Path) -> Quality:
    return msgspec.json.decode((folder / "measures.json").read_bytes(), type=Quality)


def test_a_run_is_measured_in_one_table(evaluated: tuple[str, str], copied: Path) -> None:
    table, said = evaluated
    rows = dict(line.split("  ", 1) for line in table.splitlines())
    assert list(rows) == [
        "Quality",
        "Real images",
        "Measured with",
        "Distance",
        "Realism",
        "Variety",
        "Copying",
        "Remarks",
    ]
    assert "200 generated images of seed 0, compared with 200 images of one half of digits" in rows["Quality"]
    assert "the score of 200 images of the other half in the same test" in rows["Real images"]
    assert "features of EfficientNet-Lite0 at 96 px" in rows["Measured with"]
    assert (
        "the Frechet distance is not measured: it needs more images than there are features (--count 1281)"
        in rows["Remarks"]
    )
    assert f"drawwell export {copied} puts these measures into the card" in said
    assert f"see {copied}/measures/nearest.png" in said


def test_what_was_measured_lies_in_the_run(evaluated: tuple[str, str], copied: Path) -> None:
    quality = quality_of(copied / "measures")
    assert set(quality.measures) == {"kid", "precision", "recall", "density", "coverage", "copying"}
    assert all(measure.images == 200 for measure in quality.measures.values())
    assert quality.measures["kid"].value > 1 > 0.05 > abs(quality.measures["kid"].real)  # 30 steps draw no digits
    assert record.read(copied, checkpoint.find(copied, None)[0]) == quality
    with Image.open(copied / "measures" / "nearest.png") as picture:
        assert picture.size == (8 * 30 + 2, 8 * 30 + 2)  # four rows of eight pairs of 28 pixels
    assert evaluated[0].count("\n") == len(quality.in_words())


def test_an_export_carries_the_measures_and_info_shows_them(
    evaluated: tuple[str, str], copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", str(copied)]) == 0
    assert "quality: 6 measures in the card" in capsys.readouterr().err
    assert run(["info", str(copied / "generator.onnx")]) == 0
    shown = capsys.readouterr().out
    for row in evaluated[0].splitlines():
        assert row.split("  ", 1)[1].strip() in shown


def test_another_checkpoint_of_the_run_has_measures_of_its_own(
    evaluated: tuple[str, str], copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated
    assert run(["evaluate", str(copied), *BRIEFLY, "--step", "20"]) == 0
    assert f"drawwell export {copied} --step 20 puts these measures" in " ".join(capsys.readouterr().err.split())
    assert sorted(path.name for path in (copied / "measures").glob("step-*")) == [
        "step-00000020.json",
        "step-00000030.json",
    ]


def test_a_mixture_is_measured_as_one_and_its_export_carries_that(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = ["--step", "20", "--step", "30"]
    assert run(["evaluate", str(copied), *BRIEFLY, *steps]) == 0
    assert f"drawwell export {copied} --step 20 --step 30 puts these measures into the card" in " ".join(
        capsys.readouterr().err.split()
    )
    measured = quality_of(copied / "measures")
    assert run(["export", str(copied), *steps]) == 0
    assert read_generator(copied / "mixture.onnx").card.quality == measured
    assert run(["export", str(copied), "--step", "30", "--step", "20", "--out", str(copied / "turned.onnx")]) == 0
    assert read_generator(copied / "turned.onnx").card.quality is None, "another order draws other images"


def test_an_exported_file_is_measured_beside_where_one_works(
    tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", str(tiny_generator), *BRIEFLY]) == 0
    out, err = capsys.readouterr()
    assert "copying is not measured: it needs real images that the generator was not trained on (--test)" in out
    assert "drawwell export" not in err
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"{open_source(str(tiny_generator)).name}-measures"
    assert sorted(path.name for path in folder.iterdir()) == ["measures.json", "nearest.png"]


def test_a_run_and_its_exported_file_measure_alike(tiny_run: Path, tiny_generator: Path) -> None:
    """Their pixels are a level of 255 apart at most, so KID is the same within a thousandth."""
    of_run, of_file = open_source(str(tiny_run)), open_source(str(tiny_generator))
    reference = read_reference(Sources("digits", count=200), of_run, makers.projection())
    one, other = (evaluate(source, reference, 3, print, classifier=False).quality for source in (of_run, of_file))
    assert one.measures["kid"].value == pytest.approx(other.measures["kid"].value, rel=1e-3)
    assert one.measures["kid"].value > 0.1


def test_a_conditional_run_is_measured_with_its_classes(tmp_path: Path) -> None:
    options = ["--conditional", "--steps", "2", "--width", "8", "--batch-size", "16", "--threads", "1"]
    assert run(["train", "digits", "--out", str(tmp_path / "run"), "--kid-every", "0", *options]) == 0
    source = open_source(str(tmp_path / "run"))
    reference = read_reference(Sources("digits", count=200), source, makers.projection())
    measures = evaluate(
        source, replace(reference, classifier_images=256, floor_learned=False), 0, print
    ).quality.measures
    learned = evaluate(source, replace(reference, classifier_images=256), 0, print).quality
    assert "gan_train_accuracy" not in learned.measures, "tested on images that the generator learned from"
    assert sum(learned.class_shares.values()) == pytest.approx(1)
    assert measures["gan_train_accuracy"].images == 2375
    assert 0 <= measures["gan_train_accuracy"].value <= 1
    assert measures["class_kl"].images == 200
    labels = np.arange(20) % 10
    assert source.draw(0, range(20), labels).tolist() != source.draw(0, range(20), labels[::-1].copy()).tolist()
    assert source.draw(0, range(300), np.zeros(300, np.int64)).shape == (300, 28, 28, 1)


def test_a_name_from_a_card_is_no_path(
    tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: ImageData
) -> None:
    hostile = replace(makers.copier(digits), name="../../etc/x y", class_names=())
    constant = replace(hostile, draw=makers.constant((28, 28, 1)).draw)
    monkeypatch.setattr("drawwell_train.evaluation.main.open_source", lambda *_: constant)
    monkeypatch.setattr("drawwell_train.evaluation.main.open_extractor", lambda _: makers.projection())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    main(EvaluateConfig(str(tiny_generator), "digits", count=100, classifier=False, threads=1))
    assert [path.name for path in tmp_path.rglob("*-measures")] == [".._.._etc_x_y-measures"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, digits: ImageData) -> Path:
    folder = tmp_path_factory.mktemp("files")
    np.save(folder / "few.npy", digits.images[:99])
    np.save(folder / "small.npy", digits.images[:200, ::2, ::2])
    (folder / "inception-2015-12-05.pt").write_bytes(b"another network")
    return folder


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--count", "0"], "count must be an integer of at least 1, not 0"),
        (["--count", "-5"], "count must be an integer of at least 1, not -5"),
        (["--count", "99"], "99 images of each kind are too few to measure with: at least 100 are needed"),
        (["--seed", "-1"], "seed must be in [0, 2**63), not -1"),
        (["--threads", "0"], "threads must be at least 1, not 0"),
        (["--out", "FILES/few.npy"], "FILES/few.npy: cannot be made a folder for the measures (File exists)"),
        (["--data", "FILES/few.npy"], "FILES/few.npy: 99 images are too few to measure with: at least 100 are needed"),
        (["--test", "FILES/few.npy"], "FILES/few.npy: 99 images are too few to measure with: at least 100 are needed"),
        (
            ["--test", "FILES/small.npy"],
            "FILES/small.npy: holds images of 14x14x1, not of 28x28x1; add --resize to convert them as training does",
        ),
        (["--data", "FILES/none"], "FILES/none: no such file or folder"),
        (
            ["--extractor", "FILES/inception-2015-12-05.pt"],
            "FILES/inception-2015-12-05.pt: is not the published inception-2015-12-05.pt: its SHA-256 is",
        ),
        (
            ["--extractor", "FILES/none"],
            "FILES/none: no such extractor; name efficientnet-lite0, or the path of inception-2015-12-05.pt",
        ),
        (["--step", "7"], "has no checkpoint of step 7; there are 30, 20"),
        (["--classifier-seeds", "0"], "classifier-seeds must be at least 1, not 0"),
        (["--spreads", "1", "0"], "spreads must be above 0 and at most 10, not 0"),
        (["--spreads", "nan"], "spreads must be above 0 and at most 10, not nan"),
        (["--spreads", "0.7"], "--spreads measures use in training: add --test, and leave out --no-classifier"),
        (["--stacked"], "--stacked needs a classifier: leave out --no-classifier"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(
    tiny_run: Path, files: Path, options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = [option.replace("FILES", str(files)) for option in options]
    assert run(["evaluate", str(tiny_run), *BRIEFLY, *there]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("drawwell evaluate: ")
    assert sentence.replace("FILES", str(files)) in err
    assert err.count("\n") == 1
    assert not (tiny_run / "measures").exists()


def test_spreads_of_a_generator_without_classes_are_a_sentence(
    tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", str(tiny_run), "--data", "digits", "--test", "digits", "--spreads", "0.7"]) == 1
    assert "--spreads needs a generator with classes" in capsys.readouterr().err


def test_spreads_of_a_server_are_a_sentence(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose latents are drawn where it runs."""
    monkeypatch.setattr("drawwell_train.evaluation.main.open_source", lambda *_: makers.copier(digits))
    assert run(["evaluate", "http://there", "--data", "digits", "--test", "digits", "--spreads", "0.7"]) == 1
    assert "http://there: a server makes its latents itself" in capsys.readouterr().err


def test_a_generator_of_other_classes_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = np.zeros((100, 28, 28), np.uint8), np.arange(100) % 2
    np.savez(tmp_path / "two.npz", images=images, labels=labels, classes=np.array(["a", "b"]))
    assert run(["evaluate", "fashion", "--data", str(tmp_path / "two.npz")]) == 1
    assert "the data's 'a', 'b'" in capsys.readouterr().err


def test_measures_of_other_images_stay_out_of_the_card(copied: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.npy"
    np.save(other, np.random.default_rng(0).integers(0, 256, (400, 28, 28), dtype=np.uint8))
    alone = Path(shutil.copytree(copied, tmp_path / "alone"))
    shutil.rmtree(alone / "measures", ignore_errors=True)
    given = ["--data", str(other), "--count", "100", "--no-classifier", "--threads", "1"]
    said = " ".join(drawwell("evaluate", str(alone), *given).stderr.split())
    assert "the run was trained on other images than --data, so the export does not put these measures into" in said
    assert drawwell("export", str(alone)).stderr.count("not measured") == 1
