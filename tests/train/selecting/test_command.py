"""`drawwell select` as a user meets it: a file with its record, what `drawwell info` says of it, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import drawwell
from drawwell.cli.main import run
from drawwell.errors import DrawwellError, RequestError
from drawwell.files.selected import GainRecord, SelectedRecord, in_words
from drawwell.files.selection import Selection, read_selection
from drawwell_train.data.images import ImageData
from drawwell_train.evaluation.classifier import Classifier, Scores
from drawwell_train.selecting import main as command
from drawwell_train.selecting.candidates import Stream, choose
from drawwell_train.selecting.main import SelectConfig
from drawwell_train.selecting.rules import read_criteria
from tests.conftest import StartServer
from tests.train.selecting.makers import Copier

PER_CLASS = "3=30,8=20"


@pytest.fixture(scope="module")
def written(digits: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A selection of a generator that draws half of its images wrong, by the whole command."""
    out = tmp_path_factory.mktemp("selected") / "threes.json"
    config = SelectConfig(
        "copier",
        "digits",
        out,
        per_class=PER_CLASS,
        quick=True,
        even_if_worse=True,
        start=100,
        spread=1.25,
        resize=True,
        threads=1,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "QUICK_IMAGES_SEEN", 60 * 128)
        patch.setattr(command, "open_generator", lambda *_, **__: half_wrong(digits))
        command.main(config)
    return out


def half_wrong(digits: ImageData) -> Copier:
    """Digits of half the size, half of them of another class than asked for."""
    small = replace(digits, images=np.ascontiguousarray(digits.images[:, ::2, ::2]))
    return Copier(small, wrong=0.5)


def test_a_selection_file_has_its_addresses_and_how_it_was_made(written: Path, digits: ImageData) -> None:
    selection = read_selection(written)
    batch = half_wrong(digits).generate(0, indices=selection.indices)
    assert batch.labels is not None and np.bincount(batch.labels).tolist() == [0, 0, 0, 30, 0, 0, 0, 0, 20]
    assert (selection.generator, selection.seed, selection.labels, selection.spread) == ("c" * 64, 0, None, 1.25)
    record = msgspec.convert(selection.how, SelectedRecord)
    assert (record.rule, record.margin, record.keep_share, record.start) == ("agree", 0, 1, 100)
    assert record.images == {"3": 30, "8": 20}
    assert selection.indices[0] >= 100 and selection.indices[-1] < 100 + record.candidates
    assert 0.2 < record.acceptance < 0.7
    assert (record.gate.images, record.gate.validation_images) == (4167, 833)
    assert len(record.gate.weights_sha256) == len(record.gate.data_sha256) == 64
    assert (record.gain.classifiers, record.gain.images) == (1, 290), "as if 30 had been asked for of each other class"
    assert record.versions["drawwell"] == drawwell.__version__


def test_info_says_what_a_selection_is(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(written)]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(rows) == [
        "Selection",
        "Generator",
        "Images",
        "Spread",
        "Classes",
        "Rule",
        "Acceptance",
        "Gate",
        "GAN-train",
        "Made with",
    ]
    said = " ".join(" ".join(rows.values()).split())
    assert "c" * 64 in said
    assert "50, of seed 0, indices from 1" in said
    assert "3 30, 8 20" in said
    assert "trained on 290 images with it name" in said


def test_info_of_a_selection_that_another_program_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for how in ({}, {"rule": "mine"}):
        Selection("a" * 64, 7, np.array([3, 9]), how=how, spread=0.5).write(tmp_path / "s.json")
        assert run(["info", str(tmp_path / "s.json")]) == 0
        said = capsys.readouterr().out
        assert "2, of seed 7, indices from 3 to 9" in said and "not by drawwell select" in said
        assert "latents multiplied by 0.5" in said


def test_info_of_a_damaged_selection_is_a_sentence(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = json.loads(written.read_text()) | {"seed": 8}
    (tmp_path / "damaged.json").write_text(json.dumps(damaged))
    assert run(["info", str(tmp_path / "damaged.json")]) == 1
    assert "damaged.json: is damaged: its SHA-256 is wrong" in capsys.readouterr().err


def test_a_selection_that_lost_is_written_only_when_told(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: ImageData
) -> None:
    loss = GainRecord(0.8, 0.815, 0.004, 3, 600, 1280)
    monkeypatch.setattr(command, "select", lambda *_: (read_selection(written), loss))
    monkeypatch.setattr(command, "open_generator", lambda *_, **__: Copier(digits))
    config = SelectConfig("copier", "digits", tmp_path / "worse.json", count=10, threads=1)
    with pytest.raises(DrawwellError, match=r"lost 1.5 points \(deviation 0.4\): .* Nothing was written") as error:
        command.main(config)
    assert "80.0% of the validation images correctly, and 81.5% when trained on as many unselected" in str(error.value)
    assert not config.out.exists()
    command.main(replace(config, even_if_worse=True))
    assert read_selection(config.out).sha256 == read_selection(written).sha256


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--out", "there.json"], "there.json: exists: choose another --out"),
        (["--out", "s.txt"], "--out must be a file with the ending .json, not s.txt"),
        (["--out", "nowhere/s.json"], "nowhere: is no folder to write into"),
        (["--out", "s.json", "--threads", "0"], "--threads must be at least 1, not 0"),
        (["--out", "s.json", "--classifier-seeds", "0"], "--classifier-seeds must be at least 1, not 0"),
        (["--out", "s.json", "--max-bad", "2"], "--max-bad must be a share from 0 to 1, not 2"),
        (["--out", "s.json", "--max-megapixels", "0"], "--max-megapixels must be at least 1, not 0"),
        (["--out", "s.json", "--margin", "1"], "--margin is for --rule confident"),
        (["--out", "s.json", "--candidates", "0"], "--candidates must be at least 1, not 0"),
        (["--out", "s.json", "--candidates", "1000000000"], "--candidates must be at most 268,435,456"),
        (["--out", "s.json", "--spread", "2.1"], "spread must be a number above 0 and at most 2, not 2.1"),
        (["--out", "s.json", "--seed", "-1"], "seed must be in [0, 2**63), not -1"),
        (["--out", "s.json", "--data", "missing.npz"], "missing.npz: no such file or folder"),
        (
            ["--out", "s.json", "--data", "bare.npy"],
            "bare.npy: has no classes (the file has no labels beside its images)",
        ),
    ],
)
def test_what_is_refused_before_any_work(
    options: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.json").write_text("{}")
    np.save("bare.npy", np.zeros((700, 28, 28, 1), np.uint8))
    assert run(["select", "fashion", "--data", "digits", "--count", "20", *options]) == 1
    assert sentence in capsys.readouterr().err
    assert not Path("s.json").exists()
    assert Path("there.json").read_text() == "{}"


def test_a_run_folder_is_no_generator_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", "digits", "--count", "20", "--out", str(tmp_path / "s.json")]
    assert run(["select", str(tmp_path), *arguments]) == 1
    assert "is a folder; name the file in it" in capsys.readouterr().err


class Reader(Classifier):
    """A gate without a network: it names a class by the brightness of an image."""

    def __init__(self) -> None:
        """Nothing to learn."""

    def scores_of(self, images: np.ndarray) -> Scores:
        means = images.reshape(len(images), -1).mean(1).astype(int)
        chances = np.random.default_rng(0).random((256, 10))[means]
        return Scores(
            np.log(chances / chances.sum(1, keepdims=True)).astype(np.float32), means[:, None].astype(np.float32)
        )


def test_a_server_gives_the_selection_of_its_file(start_server: StartServer) -> None:
    budgets, criteria = np.full(10, 3), read_criteria("diverse", None, None)
    found = []
    for target in ("fashion", start_server("fashion").url):
        with drawwell.open(target) as generator:
            found.append(choose(generator, Reader(), Stream(5, 0, 5000), budgets, criteria, lambda _: None))
    assert found[0].indices.tolist() == found[1].indices.tolist()


def test_a_thousand_classes_are_told_in_a_line(written: Path) -> None:
    selection = read_selection(written)
    many = {str(label): 2 for label in range(1000)}
    how = selection.how | {"images": many}
    assert in_words(replace(selection, how=how))["Classes"] == "1,000, with 2 to 2 images each"


def test_a_class_needs_its_budget_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no class 'Hat'"):
        command.main(SelectConfig("fashion", "digits", tmp_path / "s.json", per_class="Hat=3", threads=1))
