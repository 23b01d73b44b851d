"""The contest of presets: as many steps as fit into the same time, trained once, measured once, shown as it was measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.quality import contest, measuring, results, tables
from benchmarks.quality.contest import CANDIDATES, Entrant, Field
from drawwell_train.data import dataset as data
from drawwell_train.evaluation.reference import Reference
from tests.train.evaluation import makers


def entry(candidate: str, seed: int, kid: float) -> dict[str, Any]:
    measures = {"kid": kid, "class_recall": 0.5, "gan_train_fresh": 0.8}
    figures = {name: {"value": value} for name, value in measures.items()}
    entrant = {"field": "fashion", "budget": 100, "candidate": candidate, "seed": seed}
    return {**entrant, "generators": 1, "classifiers": 1, "cost": 2.0, "images_seen": 3200, "measures": figures}


def test_a_row_is_the_mean_over_seeds_and_the_best_comes_first() -> None:
    entries = [entry("dcgan", 0, 0.2), entry("sngan", 0, 0.1), entry("sngan", 1, 0.14)]
    lines = contest.table({str(place): one for place, one in enumerate(entries)}).splitlines()
    assert lines[2] == "| fashion | 100 | sngan | 2.00 | 3,200 | 2 | 120.0 ± 28.3 | 50.0 ± 0.0% | 80.0 ± 0.0% |"
    assert lines[3] == "| fashion | 100 | dcgan | 2.00 | 3,200 | 1 | 200.0 | 50.0% | 80.0% |"
    assert lines[5:] == ["- dcgan: `the default`", "- sngan: `--preset sngan`"]


def test_the_page_shows_what_was_measured() -> None:
    assert contest.table(contest.read()) in tables.PAGE.read_text(), "python -m benchmarks.quality.contest"


def test_every_candidate_is_a_training() -> None:
    digits = data.load("digits")
    for name in CANDIDATES:
        contest.configured("fashion", name, digits)


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few digits, cheap features and classifiers that learn little."""
    digits = data.load("digits")
    assert digits.labels is not None
    for name, first in (("few.npz", 0), ("others.npz", 1)):
        some = slice(first, None, 10)
        np.savez(
            tmp_path / name, images=digits.images[some], labels=digits.labels[some], classes=np.array([*"0123456789"])
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        contest, "FIELDS", {"digits": Field("few.npz", "others.npz", ("--conditional", "--width", "4"))}
    )
    monkeypatch.setattr(contest, "FILE", tmp_path / "contest.json")
    monkeypatch.setattr(contest, "CANDIDATES", {"dcgan": (), "slow": ("--batch-size", "16")})
    monkeypatch.setattr(contest, "_CLASSIFIER_IMAGES", 256)
    monkeypatch.setattr(contest, "_references", dict[tuple[str, int], Reference]())
    monkeypatch.setattr(contest, "extractor", makers.projection)
    monkeypatch.setattr(measuring, "extractor", makers.projection)
    monkeypatch.setattr(results, "_commit", lambda: "abc")
    return tmp_path


def test_an_entrant_gets_the_same_time_and_is_measured_once(field: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contest.RUNS.mkdir(parents=True)
    (contest.RUNS / "costs-digits.json").write_text(json.dumps({"dcgan": 1.0, "slow": 2.0}))
    entrant = Entrant("digits", "slow", 8, 0)
    contest.carry_out(entrant, field, 1)
    (found,) = contest.read().values()
    assert (found["images_seen"], found["cost"], found["options"]) == (4 * 16, 2.0, ["--batch-size", "16"])
    assert set(found["measures"]) == {"kid", "recall", "class_recall", "gan_train_fresh"}
    monkeypatch.setattr(contest, "_train", None)
    contest.carry_out(entrant, field, 1)
    assert found["classifiers"] == 1


def test_a_mixture_is_of_seeds_that_follow_one_another(field: Path) -> None:
    contest.RUNS.mkdir(parents=True)
    (contest.RUNS / "costs-digits.json").write_text(json.dumps({"dcgan": 1.0, "slow": 2.0}))
    contest.carry_out(Entrant("digits", "slow", 4, 3, 2), field, 1)
    assert {path.name for path in contest.RUNS.iterdir() if path.is_dir()} == {
        "digits-4-slow-seed3",
        "digits-4-slow-seed4",
    }
    (found,) = contest.read().items()
    assert (found[0], found[1]["images_seen"]) == ("digits-4-slow-seed3-of2", 2 * 2 * 16)
    assert "| digits | 4 | slow, 2 generators | 2.00 | 64 |" in contest.table(contest.read())


def test_costs_are_beside_dcgan(field: Path) -> None:
    costs = contest.measure_costs("digits", field, ["dcgan", "slow"])
    assert costs["dcgan"] == 1.0
    assert costs["slow"] > 0


def test_what_computes_the_same_costs_the_same(field: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        contest, "CANDIDATES", {"dcgan": (), "fast": ("--learning-rate", "1e-3"), "wide": ("--d-width", "8")}
    )
    monkeypatch.setattr(contest, "measure_costs", lambda *_: {"dcgan": 1.0, "wide": 3.0})
    assert contest._costs("digits", field) == {"dcgan": 1.0, "fast": 1.0, "wide": 3.0}
