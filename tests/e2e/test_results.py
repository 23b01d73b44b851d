"""`make results`: what is published is trained once, measured once, and goes on where it stopped."""

import json
import shutil
import sys
from pathlib import Path

import filelock
import numpy as np
import pytest

from benchmarks.quality import __main__ as quality
from benchmarks.quality import experiments, measuring, results, tables
from benchmarks.quality.experiments import Experiment
from drawwell_train import data
from tests.train.evaluation import makers

STEPS = 6


def experiment(steps: int) -> Experiment:
    options = "--width", "8", "--log-every", "2", "--save-every", "2"
    return Experiment("mnist-mlp", "mlp", "few.npz", steps, ("--preset", "mlp", *options), "others.npz")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data, a page with marks, and cheap features."""
    digits = data.load("digits")
    (tmp_path / "sets").mkdir()
    for name, first in (("few.npz", 0), ("others.npz", 1)):
        some = slice(first, None, 20)
        np.savez(tmp_path / "sets" / name, images=digits.images[some])
    page = Path("docs", "quality.md").read_text()
    (tmp_path / "docs").mkdir()
    (tmp_path / "runs" / "results").mkdir(parents=True)
    (tmp_path / "docs" / "quality.md").write_text(page)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "FILE", tmp_path / "quality.json")
    monkeypatch.setattr(results, "_commit", lambda: "abc")
    monkeypatch.setattr(measuring, "extractor", makers.projection)
    for module in (quality, tables):
        monkeypatch.setattr(module, "experiments", lambda: iter([experiment(STEPS)]))
    monkeypatch.setattr(quality, "prepare", lambda _: None)
    return tmp_path


def make(folder: Path, monkeypatch: pytest.MonkeyPatch, minutes: str = "9") -> None:
    given = ["--data", str(folder / "sets"), "--minutes", minutes, "--only", "mnist"]
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
    assert f"| mlp | {64 * STEPS} |" in (folder / "docs" / "quality.md").read_text()
    assert (folder / "docs" / "sheets" / "mnist-mlp.png").read_bytes().startswith(b"\x89PNG")
    before = (folder / "quality.json").stat().st_mtime_ns
    make(folder, monkeypatch)
    assert (folder / "quality.json").stat().st_mtime_ns == before, "measured again without need"
    monkeypatch.setattr(quality, "experiments", lambda: iter([experiment(2 * STEPS)]))
    make(folder, monkeypatch)
    (entry,) = json.loads((folder / "quality.json").read_text()).values()
    assert entry["steps"] == 2 * STEPS
    assert "continuing" in (folder / "runs" / "results" / "mnist-mlp.log").read_text()
    shutil.rmtree(folder / "runs" / "results" / "mnist-mlp")
    make(folder, monkeypatch)
    assert not (folder / "runs" / "results" / "mnist-mlp").exists(), "a clone without the runs keeps what is published"


def test_two_at_once_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        filelock.FileLock(folder / "runs" / "results" / ".lock"),
        pytest.raises(SystemExit, match="being made already"),
    ):
        make(folder, monkeypatch)


def test_data_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="has no mnist/train-images-idx3-ubyte"):
        experiments.prepare(tmp_path)
