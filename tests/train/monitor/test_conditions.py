"""Each named condition is provoked by real training, and ends when its cause does."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from drawwell_train.config import TrainConfig
from drawwell_train.data import dataset as data
from drawwell_train.loop import CollapsedError, DivergedError, train
from drawwell_train.monitor.conditions import COLLAPSE, OSCILLATION, STRONG, WEAK, Watch, conditions_of
from drawwell_train.monitor.measures import Measures
from drawwell_train.monitor.ticks import Line, Ticks
from drawwell_train.presets import Loss
from drawwell_train.run.run_folder import Run
from drawwell_train.step import state
from drawwell_train.step.batches import Batches
from drawwell_train.step.steps import train_step
from tests.conftest import ROOT
from tests.train.configs import configured

OPTIONS: dict[str, Any] = {"preset": "mlp", "width": 16, "batch_size": 16, "log_every": 20}
DIGITS = data.load("digits", None, None)

Rates = tuple[float, float]
"""Of D and of G, as multiples of the preset's."""


@dataclass
class Story:
    """What a training said and logged."""

    said: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def sentences(self, condition: str) -> list[str]:
        return [sentence for sentence in self.said if f": {condition} " in sentence]


def told(steps: int, rates: Mapping[int, Rates], restored: int | None = None, **options: Any) -> Story:
    """Train on real digits, at learning rates that change at some steps; and at one with the weights that G began with."""
    config, story = configured(**OPTIONS | options), Story()
    networks = state.build(config, torch.device("cpu"))
    real = Batches(DIGITS, config, torch.device("cpu"), 0)
    ticks = Ticks(config, Measures(config, real), lambda _: {}, Watch(config.loss), 0)
    first_weights = copy.deepcopy(networks.generator.state_dict())
    for step in range(steps):
        if step == restored:
            networks.generator.load_state_dict(first_weights)
        if step in rates:
            for optimizer, rate in zip((networks.optimizer_d, networks.optimizer_g), rates[step], strict=True):
                optimizer.param_groups[0]["initial_lr"] = rate * config.learning_rate
        ticks.add(train_step(networks, config, real.next))
        if networks.step % config.log_every == 0:
            line, said = ticks.line(networks, ticks.sync_stats())
            story.lines.append(line)
            story.said += said
    return story


def step_of(sentence: str) -> int:
    return int(sentence.split()[1].rstrip(":"))


def test_a_sound_training_is_left_in_peace() -> None:
    story = told(300, {}, preset="dcgan", width=4)
    assert story.said == []
    assert all(line["conditions"] == [] for line in story.lines)


def test_too_strong_a_discriminator_starves_minimax() -> None:
    story = told(480, {0: (0.3, 0.3), 300: (0.0, 3.0)}, loss="minimax")
    begins, ends = story.sentences(STRONG)
    assert begins.startswith("step 200: discriminator too strong begins: D is almost never wrong")
    assert "discriminator too strong ends: the generator can fool D again" in ends
    starved = [line["gradient_g"] for line in story.lines if STRONG in line["conditions"] and line["step"] <= 300]
    assert max(starved) < 0.01 * story.lines[0]["gradient_g"]


def test_too_weak_a_discriminator_teaches_nothing() -> None:
    story = told(400, {0: (1e-6, 1.0), 260: (1.0, 1.0)})
    begins, ends = story.sentences(WEAK)
    assert begins.startswith(
        "step 200: discriminator too weak begins: D tells real images from generated ones no better"
    )
    assert "discriminator too weak ends: D tells real images from generated ones" in ends
    held = [line["step"] for line in story.lines if WEAK in line["conditions"]]
    assert held == list(range(200, step_of(ends), 20))


def test_too_weak_a_critic_is_a_condition() -> None:
    options: dict[str, Any] = {"preset": "wgan", "width": 4, "batch_size": 4, "log_every": 10}
    story = told(250, {0: (1e-6, 20.0), 210: (1000.0, 1.0)}, **options)
    begins, ends = story.sentences(WEAK)
    assert "begins" in begins
    assert "ends" in ends


@pytest.mark.parametrize("loss", ["hinge", "relativistic"])
def test_so_large_a_penalty_that_d_dies_is_too_weak_a_discriminator_and_no_nan(loss: str) -> None:
    options: dict[str, Any] = {"preset": "sngan", "width": 2, "d_norm": "none", "r1": 1e5, "r2": 1e5, "batch_size": 4}
    story = told(220, {}, loss=loss, **options)
    (sentence,) = story.sentences(WEAK)
    assert "no better than a coin" in sentence and "smaller --r1 and --r2" in sentence
    assert all(line["loss_d"] < 3 for line in story.lines)


def test_large_steps_make_both_oscillate() -> None:
    story = told(360, {0: (3.0, 3.0), 240: (0.1, 0.1)}, width=64)
    begins, *_, ends = story.sentences(OSCILLATION)
    assert "oscillation begins: generator and discriminator beat each other in turn" in begins
    assert "oscillation ends: D(G(z)) is steady" in ends


def test_huge_steps_collapse_the_generator_and_its_earlier_weights_are_diverse() -> None:
    story = told(400, {0: (1.0, 60.0), 240: (1.0, 1.0)}, restored=240)
    begins, ends = story.sentences(COLLAPSE)
    assert "mode collapse begins: the generator draws nearly the same few images" in begins
    assert "mode collapse ends: the generator's images differ again" in ends
    assert story.lines[11]["diversity"] < 0.1 < story.lines[-1]["diversity"]


def test_a_watch_that_is_given_the_earlier_lines_goes_on_where_it_was() -> None:
    story = told(400, {0: (1e-6, 1.0), 260: (1.0, 1.0)})
    for stop in range(0, len(story.lines), 5):
        watch = Watch("non-saturating", story.lines[:stop])
        said = [sentence for line in story.lines[stop:] for sentence in watch.look(line)]
        assert said == [sentence for sentence in story.said if step_of(sentence) > stop * 20]


def run_into(out: Path, **options: Any) -> list[str]:
    """A whole run of 260 steps; what it said."""
    said: list[str] = []
    config = configured(**OPTIONS | {"out": out, "steps": 260} | options)
    run = Run(out)
    with run.locked():
        train(config, DIGITS, run, lambda _: None, said.append)
    return said


def test_on_collapse_training_warns_and_goes_on_or_saves_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """warn goes on; stop saves and stops, again and again, until it is told to go on."""

    def constant(config: TrainConfig, *rest: Any) -> state.TrainState:
        built = build(config, *rest)
        torch.nn.init.zeros_(next(built.generator.parameters()))  # z is not listened to
        for group in built.optimizer_g.param_groups:
            group["initial_lr"] = 0.0
        return built

    build = state.build
    monkeypatch.setattr(state, "build", constant)
    assert any("mode collapse begins" in sentence for sentence in run_into(tmp_path / "warn"))
    run = tmp_path / "stop"
    with pytest.raises(CollapsedError, match="stopped and saved at step 200 because of --on-collapse stop"):
        run_into(run, on_collapse="stop", save_every=1000)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000200"]
    with pytest.raises(CollapsedError, match="at step 220"):
        run_into(run, on_collapse="stop", save_every=1000)
    assert not any("begins" in sentence for sentence in run_into(run))
    assert Run(run).stats()[-1]["conditions"][-1] == COLLAPSE


def test_a_nan_is_a_condition_in_the_last_line(tmp_path: Path) -> None:
    options = {"out": tmp_path, "preset": "dcgan", "width": 4, "steps": 1000, "learning_rate": 1e30}
    config = configured(**OPTIONS | options)
    with Run(tmp_path).locked(), pytest.raises(DivergedError, match="NaN or infinity at step"):
        train(config, DIGITS, Run(tmp_path), lambda _: None, lambda _: None)
    last = json.loads((tmp_path / "stats.jsonl").read_text().splitlines()[-1])
    assert last["conditions"] == ["NaN"]


@pytest.mark.parametrize("loss", get_args(Loss))
def test_the_documentation_has_every_condition_with_its_thresholds(loss: Loss) -> None:
    rows = (ROOT / "docs" / "guides" / "train.md").read_text().splitlines()
    for condition in conditions_of(loss):
        (row,) = (row for row in rows if row.startswith(f"| {condition.name} |"))
        assert f"{condition.begins:g}" in row
        assert f"{condition.ends:g}" in row or condition.ends == pytest.approx(5 * condition.begins)
