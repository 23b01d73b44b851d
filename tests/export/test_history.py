"""The curves of a training in the card of its generator."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from drawwell.files.card import ModelCard
from drawwell.files.generator_file import read_generator
from drawwell.files.history import MOST_POINTS, TrainingHistory
from drawwell_export.history import history_of
from drawwell_train.run.run_files import STATS
from drawwell_train.run.run_folder import RunError
from tests.conftest import drawwell


def run_of(folder: Path, *lines: dict[str, Any]) -> Path:
    (folder / STATS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def exported(run: Path, *options: str) -> tuple[ModelCard, str]:
    """The card, and what the export said."""
    out = run / "again.onnx"
    said = drawwell("export", str(run), "--no-judge", "--out", str(out), *options).stderr
    return read_generator(out).card, " ".join(said.split())


def test_the_card_holds_the_numbers_of_the_run(tiny_run: Path, tiny_generator: Path) -> None:
    history = read_generator(tiny_generator).card.history
    assert history is not None
    (line,) = (json.loads(text) for text in (tiny_run / STATS).read_text().splitlines())
    for curve, name in ((history.diversity, "diversity"), (history.d_real, "d_real"), (history.d_fake, "d_fake")):
        ((step, value),) = curve
        assert step == line["step"] == 30
        assert value == pytest.approx(line[name], rel=1e-3)
    assert history.kid == ()
    assert history.gives_probabilities


def test_a_long_history_is_thinned_and_ends_at_the_exported_step(tmp_path: Path) -> None:
    lines = [{"step": step, "diversity": step / 7, "kid": -step / 3e6} for step in range(10, 10_000, 10)]
    history = history_of(run_of(tmp_path, *lines), 9000)
    assert len(history.diversity) == len(history.kid) == MOST_POINTS
    assert (history.diversity[0], history.diversity[-1]) == ((10, 1.429), (9000, 1286.0))
    assert history.kid[-1] == (9000, -0.003)
    steps = [step for step, _ in history.diversity]
    assert max(after - before for before, after in pairwise(steps)) <= 150
    assert not history.gives_probabilities
    assert history_of(tmp_path, 20) == TrainingHistory(((10, -3.333e-06), (20, -6.667e-06)), ((10, 1.429), (20, 2.857)))


def test_a_value_of_a_training_that_diverged_is_left_out(tmp_path: Path) -> None:
    history = history_of(run_of(tmp_path, {"step": 1, "d_real": 2}, {"step": 2, "d_real": 10**400}), 2)
    assert history.d_real == ((1, 2.0),)


@pytest.mark.parametrize("damage", ["{}\n", '{"step": 30, "kid": "low"}\n', "\0\n"])
def test_damaged_numbers_are_a_sentence(tmp_path: Path, damage: str) -> None:
    run = run_of(tmp_path, {"step": 10})
    (run / STATS).write_text((run / STATS).read_text() + damage)
    with pytest.raises(RunError, match="holds a line that training did not write, line 2"):
        history_of(run, 30)


def test_a_run_without_its_numbers_is_exported_without_them_and_that_is_said(tiny_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    (run / STATS).write_text("{}\n")
    card, said = exported(run)
    assert card.history is None
    assert f"no training curves in the card: {run / STATS}: holds a line that training did not write" in said
    (run / STATS).unlink()
    card, said = exported(run)
    assert card.history is None
    assert f"no training curves in the card: {run / STATS}: is missing" in said


def test_a_mixture_has_no_curves(tiny_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    card, said = exported(run, "--step", "20", "--step", "30")
    assert len(card.members) == 2
    assert card.history is None
    assert "no training curves" not in said
