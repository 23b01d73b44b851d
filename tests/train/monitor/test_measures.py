"""What is measured is what it is said to be, and measuring changes nothing of training."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drawwell_train.config import TrainConfig
from drawwell_train.data.images import ImageData
from drawwell_train.loop import train
from drawwell_train.main import describe
from drawwell_train.monitor.measures import Measures, nearest_distance
from drawwell_train.monitor.ticks import Line, in_words
from drawwell_train.presets import PRESETS
from drawwell_train.run.run_folder import Run
from drawwell_train.step import state as states
from drawwell_train.step.batches import Batches
from tests.train.configs import configured

CPU = torch.device("cpu")
CONFIG = configured(width=8, batch_size=8)


def images(count: int) -> ImageData:
    noise = np.random.default_rng(0)
    return ImageData(noise.integers(0, 256, (count, 28, 28, 1)).astype(np.uint8), np.arange(count) % 2, ("a", "b"))


def measured(config: TrainConfig, count: int = 100) -> dict[str, float]:
    return Measures(config, Batches(images(count), config, CPU, 0))(states.build(config, CPU))


def lines_of(config: TrainConfig, path: Path, data: ImageData | None = None) -> tuple[str, list[Line]]:
    """The digest of the weights after a run, and its lines."""
    lines: list[Line] = []
    run = Run(path)
    with run.locked():
        finished = train(replace(config, out=path), data or images(100), run, lines.append, lambda _: None)
    assert run.stats() == lines
    return states.digest(states.to_tensors(finished)), lines


@pytest.mark.parametrize("options", [{}, {"preset": "cnn"}, {"spectral_norm": True, "diffaugment": True, "flip": True}])
def test_measuring_changes_nothing_of_training(tmp_path: Path, options: dict[str, object]) -> None:
    """Batch norm, dropout, a power iteration: all of them would be moved by a look in training mode."""
    config = configured(width=8, batch_size=8, steps=6, **options)
    often, lines = lines_of(replace(config, log_every=1), tmp_path / "often")
    never, line = lines_of(replace(config, log_every=1000), tmp_path / "never")
    assert (len(lines), len(line)) == (6, 1)
    assert often == never


def test_a_line_has_the_means_of_its_steps(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=6)
    _, single = lines_of(replace(config, log_every=1), tmp_path / "single")
    _, together = lines_of(replace(config, log_every=3), tmp_path / "together")
    for name in ("loss_d", "loss_g", "d_real", "d_fake", "accuracy_d", "gradient_d", "gradient_g"):
        assert together[1][name] == pytest.approx(np.mean([line[name] for line in single[3:]]), abs=1e-4)
    assert together[1]["swing"] == pytest.approx(np.std([line["d_fake"] for line in single[3:]]), abs=1e-3)
    for name in ("value", "jsd", "diversity"):
        assert together[1][name] == single[5][name]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_measured(preset: str) -> None:
    found = measured(configured(width=8, batch_size=8, preset=preset))
    assert set(found) == {"value", "diversity"} | (
        set() if preset in ("wgan", "wgan-gp", "sngan", "rpgan") else {"jsd"}
    )
    assert all(math.isfinite(value) for value in found.values())
    if "jsd" in found:
        assert found["jsd"] == pytest.approx(max(0, math.log(2) + found["value"] / 2), abs=1e-4)


def test_labels_and_tuples_are_measured() -> None:
    assert "jsd" in measured(replace(CONFIG, conditional=True, class_names=("a", "b")))
    assert "jsd" in measured(replace(CONFIG, pack=4))


@pytest.mark.parametrize(("count", "pack"), [(19, 1), (30, 2)])
def test_where_nothing_is_held_out_the_plan_says_what_is_missing(count: int, pack: int) -> None:
    config = replace(CONFIG, pack=pack)
    assert set(measured(config, count)) == {"diversity"}
    assert "no value function and no JSD" in describe(config, images(count))
    assert "no value function" not in describe(config, images(100))


def test_the_distance_to_the_nearest_tells_copies_from_many() -> None:
    torch.manual_seed(0)
    many = torch.rand(64, 1, 28, 28)
    assert nearest_distance(many[:1]) == 0
    assert nearest_distance(many[:1].expand(64, -1, -1, -1)) == pytest.approx(0, abs=1e-5)
    assert nearest_distance(many[:8].repeat(8, 1, 1, 1)) == pytest.approx(0, abs=1e-5)
    assert nearest_distance(many / 2) == pytest.approx(nearest_distance(many) / 2, rel=1e-5)
    three = torch.tensor([0.0, 3.0, 4.0]).reshape(3, 1, 1, 1)
    assert nearest_distance(three) == pytest.approx((3 + 1 + 1) / 3)


def test_images_that_make_no_group_are_not_judged_by_their_deviation() -> None:
    """Of 58 images 56 make groups of four; the last two would look as if all images were alike."""
    config = configured(preset="sngan", minibatch_std=True, width=2, batch_size=64)
    state = states.build(config, CPU)
    real = Batches(images(100), config, CPU, 0)
    assert len(Measures(config, real)._judge(state, real.fixed(0, 58).images, None)) == 56


def test_a_discriminator_that_compares_images_of_a_batch_is_judged_with_classes() -> None:
    config = configured(preset="sngan", minibatch_std=True, width=2, conditional=True, class_names=("a", "b"))
    assert set(measured(config)) == {"value", "diversity"}  # hinge has no JSD


def test_a_line_shows_its_numbers_in_words() -> None:
    line = {
        "step": 50,
        "images": 3200,
        "images_per_second": 1234.5,
        "d_real": 0.7,
        "d_fake": 0.2,
        "loss_d": 1.0,
        "loss_g": 2.0,
    }
    line |= {"gradient_d": 1.5, "gradient_g": 0.25}
    judged = {
        "accuracy_d": 0.9,
        "swing": 0.02,
        "value": -0.6,
        "jsd": 0.39,
        "diversity": 0.8,
        "conditions": ["oscillation"],
    }
    assert in_words(line | judged) == (
        "1,234 images/s; D(x) 0.70, D(G(z)) 0.20, D right 90%; value -0.60 (perfect G: -1.39), JSD at least 0.39; "
        "gradients D 1.5, G 0.25; diversity 0.80; oscillation"
    )
    hinge = line | {"accuracy_d": 0.9, "value": -1.5, "conditions": []}
    assert in_words(hinge) == (
        "1,234 images/s; D's logit: real 0.7, generated 0.2, D right 90%; value -1.5; gradients D 1.5, G 0.25"
    )
    assert in_words(line | {"value": 0.5, "conditions": []}) == (
        "1,234 images/s; critic: real 0.7, generated 0.2; value 0.5; gradients D 1.5, G 0.25"
    )
