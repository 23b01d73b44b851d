"""`make results`: what is published is trained once, measured once, and goes on where it stopped."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from benchmarks.quality import __main__ as quality
from benchmarks.quality import experiments, measuring, results, tables
from benchmarks.quality.experiments import Experiment
from drawwell.cli.main import run
from drawwell_train.data import dataset as data
from drawwell_train.evaluation.measure import evaluate
from drawwell_train.evaluation.reference import Sources, read_reference
from drawwell_train.evaluation.source import open_source
from tests.train.evaluation import makers

STEPS = 6


def experiment(steps: int) -> Experiment:
    options = "--width", "8", "--log-every", "2", "--save-every", "2"
    return Experiment("cifar-mlp", "mlp", "few.npz", steps, ("--preset", "mlp", *options), "others.npz")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data, a page with marks, and cheap features."""
    digits = data.load("digits")
    (tmp_path / "sets").mkdir()
    for name, first in (("few.npz", 0), ("others.npz", 1)):
        some = slice(first, None, 20)
        np.savez(tmp_path / "sets" / name, images=digits.images[some])
    page = tables.PAGE.read_text()
    (tmp_path / "docs").mkdir()
    (tmp_path / "runs" / "results").mkdir(parents=True)
    (tmp_path / "quality.md").write_text(page)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tables, "PAGE", tmp_path / "quality.md")
    monkeypatch.setattr(results, "FILE", tmp_path / "quality.json")
    monkeypatch.setattr(results, "_commit", lambda: "abc")
    monkeypatch.setattr(measuring, "extractor", makers.projection)
    for module in (quality, tables):
        monkeypatch.setattr(module, "experiments", lambda: iter([experiment(STEPS)]))
    monkeypatch.setattr(quality, "prepare", lambda _: None)
    return tmp_path


def make(folder: Path, monkeypatch: pytest.MonkeyPatch, minutes: str = "9") -> None:
    given = ["--data", str(folder / "sets"), "--minutes", minutes, "--only", "cifar"]
    monkeypatch.setattr(sys, "argv", ["quality", *given])
    quality.main()


def test_a_training_is_published_once_and_goes_on_when_more_is_wanted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(folder, monkeypatch, minutes="0")
    assert not (folder / "quality.json").exists(), "no time, nothing trained, nothing published"
    make(folder, monkeypatch)
    (entry,) = json.loads((folder / "quality.json").read_text()).values()
    assert (entry["steps"], entry["images_seen"], entry["seed"], entry["commit"]) == (STEPS, 64 * STEPS, 0, "abc")
    assert entry["command"].startswith("drawwell train DATA/few.npz")
    assert f"| mlp | {64 * STEPS} |" in (folder / "quality.md").read_text()
    assert (folder / "docs" / "sheets" / "cifar-mlp.png").read_bytes().startswith(b"\x89PNG")
    before = (folder / "quality.json").stat().st_mtime_ns
    make(folder, monkeypatch)
    assert (folder / "quality.json").stat().st_mtime_ns == before, "measured again without need"
    monkeypatch.setattr(quality, "experiments", lambda: iter([experiment(2 * STEPS)]))
    make(folder, monkeypatch)
    (entry,) = json.loads((folder / "quality.json").read_text()).values()
    assert entry["steps"] == 2 * STEPS
    assert "continuing" in (folder / "runs" / "results" / "cifar-mlp.log").read_text()
    shutil.rmtree(folder / "runs" / "results" / "cifar-mlp")
    make(folder, monkeypatch)
    assert not (folder / "runs" / "results" / "cifar-mlp").exists(), "a clone without the runs keeps what is published"


def test_two_at_once_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        filelock.FileLock(folder / "runs" / "results" / ".lock"),
        pytest.raises(SystemExit, match="being made already"),
    ):
        make(folder, monkeypatch)


def test_data_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="has no mnist/train-images-idx3-ubyte"):
        experiments.prepare(tmp_path)


def test_the_page_shows_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the bundled generators and every other experiment that is published: none by hand, none left over."""
    published = tables.PAGE.read_text()
    (page := tmp_path / "quality.md").write_text(published)
    monkeypatch.setattr(tables, "PAGE", page)
    tables.update()
    assert page.read_text() == published
    named = {one.name for one in experiments.experiments()}
    assert {name for name in results.read_all() if not name.startswith("plain-")} <= named
    assert {sheet.stem for sheet in Path("docs", "sheets").glob("*.png")} <= named


def test_a_run_is_judged_as_evaluate_would_with_classifiers_that_learn_briefly(tmp_path: Path) -> None:
    options = [
        "--conditional",
        "--steps",
        "2",
        "--width",
        "8",
        "--batch-size",
        "16",
        "--threads",
        "1",
        "--kid-every",
        "0",
    ]
    assert run(["train", "digits", "--out", str(tmp_path / "run"), *options]) == 0
    source = open_source(str(tmp_path / "run"))
    reference = read_reference(Sources("digits", count=500), source, makers.projection(), classifiers=2)
    reference = replace(reference, classifier_images=256, floor_learned=False)
    judged = measuring.judge([tmp_path / "run"], reference)
    assert list(judged) == ["kid", "recall", "class_recall", "gan_train_fresh"]
    measured = evaluate(source, reference, 0, print).quality.measures
    assert judged == {name: measured[name] for name in judged}
    assert judged["gan_train_fresh"].images == 256


def measures(**of_classifiers: float) -> dict[str, float]:
    return {"value": 0.8, "real": 0.9, "images": 100} | of_classifiers


def test_a_table_shows_deviations_the_worst_class_and_no_column_that_is_empty() -> None:
    """Also of entries that were written before there were classes in them."""
    new = {
        "measures": {
            "kid": measures(),
            "gan_train_fresh": measures(spread=0.004, real_spread=0.002),
            "class_recall": measures(),
        },
        "by_class": {"class_recall": {"cat": measures(value=0.25), "dog": measures()}},
    }
    old = {"measures": {"kid": measures()}}
    qualities: dict[str, dict[str, Any]] = {"new": new, "old": old}
    rows = {name: entry(name, quality) for name, quality in qualities.items()}
    names = ("kid", "recall", "gan_train_fresh", "class_recall")
    lines = tables.measured_table(rows, names).splitlines()
    assert lines[0] == "| | images seen | training | 1,000 x KID | GAN-train, fresh images | recall within classes |"
    assert lines[2].endswith("| 80.0% ± 0.4% (90.0% ± 0.2%) | 80.0% (90.0%); worst cat: 25.0% (90.0%) |")
    assert lines[3].endswith("| 800.0 (900.0) |  |  |")


def entry(title: str, quality: dict[str, Any]) -> dict[str, Any]:
    about = {"seed": 0, "reference": "images", "floor": "others", "extractor": "features"}
    times = {"images_seen": 640, "training_seconds": 60, "measuring_seconds": 1}
    steps = {"steps": 10, "measured_step": 10, "command": "drawwell train", "commit": "abc"}
    return {"title": title, "quality": about | quality, **times, **steps}
