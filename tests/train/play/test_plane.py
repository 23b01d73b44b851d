"""A training in the plane is the trainer's own: deterministic, with its losses, and measured without being changed."""

import dataclasses
import math

import pytest

from drawwell.errors import RequestError
from drawwell_train.play.divergence import CELLS
from drawwell_train.play.options import PlayOptions, config_of_plane, read_options
from drawwell_train.play.plane import Plane
from drawwell_train.play.product import Product

LOSSES = ["minimax", "non-saturating", "hinge", "relativistic", "wasserstein"]


def trained(options: PlayOptions, steps: int, looks: bool = False) -> Plane:
    plane = Plane(options)
    for _ in range(steps):
        plane.advance()
        if looks:
            plane.measure()
            plane.view()
    return plane


def test_a_training_is_a_function_of_its_seed_and_looking_changes_nothing() -> None:
    once, again = trained(PlayOptions(), 15).measure(), trained(PlayOptions(), 15, looks=True).measure()
    assert once == again
    assert once != trained(PlayOptions(seed=1), 15).measure()


@pytest.mark.parametrize("pack", [1, 4])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_with_every_packing(loss: str, pack: int) -> None:
    plane = trained(read_options({"loss": loss, "pack": pack, "d_steps": 2, "g_steps": 2, "prior": "uniform"}), 3)
    numbers, view = plane.measure(), plane.view()
    assert all(map(math.isfinite, numbers.values()))
    assert len(view.surface) == len(view.best) == CELLS**2
    assert 0 <= min(view.surface) <= max(view.surface) <= 1
    assert max(view.surface) > min(view.surface)
    assert ("bound" in numbers) == (loss in ("minimax", "non-saturating"))


def test_g_begins_in_the_middle_where_the_ring_and_the_clusters_are_not() -> None:
    for data in ("ring", "clusters"):
        assert Plane(read_options({"data": data})).measure()["jsd"] == pytest.approx(math.log(2), abs=1e-3)


def test_the_default_options_learn_the_ring_and_the_bound_stays_below_the_divergence() -> None:
    plane = Plane(PlayOptions())
    for step in range(1, 601):
        plane.advance()
        if not step % 100:
            numbers = plane.measure()
            assert numbers["bound"] <= numbers["jsd"] + 0.02
    assert numbers["modes"] >= 6
    assert numbers["jsd"] < 0.35


def test_other_rates_count_from_the_next_step_on() -> None:
    plane, same = trained(PlayOptions(), 5), trained(PlayOptions(), 5)
    plane.change(PlayOptions(rate_d=1e-6, rate_g=1e-6))
    before = plane.measure()
    plane.advance()
    same.advance()
    moved, otherwise = plane.measure(), same.measure()
    assert abs(moved["x"] - before["x"]) < abs(otherwise["x"] - before["x"]) / 100


def test_broken_weights_are_a_sentence() -> None:
    plane = Plane(PlayOptions())
    assert plane.over() == ""
    next(plane._state.generator.parameters()).data.fill_(math.nan)
    assert plane.over().startswith("Training diverged at step 0: a weight is NaN")


@pytest.mark.parametrize(("rate", "steps"), [(0.1, 200), (0.01, 300)])
def test_x_and_y_circle_outwards_by_the_factor_of_a_simultaneous_step(rate: float, steps: int) -> None:
    game = Product(PlayOptions(data="product", rate_d=rate, rate_g=rate))
    for _ in range(steps):
        game.advance()
    numbers = game.measure()
    assert numbers["distance"] == pytest.approx(0.2 * (1 + rate**2) ** (steps / 2), rel=1e-3)
    assert numbers["turns"] == pytest.approx(steps * math.atan(rate) / (2 * math.pi), rel=1e-3)


def test_the_game_is_over_outside_of_the_picture() -> None:
    game = Product(PlayOptions(data="product", rate_d=1, rate_g=1))
    while not game.over():
        game.advance()
    assert game.over() == "x and y left the picture at step 6, after 0.8 turns around the equilibrium."


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rate": 1}, "there is no option 'rate'; the options are data, preset, "),
        ({"data": "moons"}, "Data must be one of ring, grid, clusters, images, product, not 'moons'"),
        ({"pack": "2"}, r"Samples that D sees together \(packing\) must be one of 1, 2, 4, not '2'"),
        ({"pack": True}, "must be one of 1, 2, 4, not True"),
        ({"rate_d": 0}, "Learning rate of D must be from 1e-06 to 1, not 0"),
        ({"rate_g": math.nan}, "Learning rate of G must be from 1e-06 to 1, not nan"),
        ({"rate_g": ""}, "Learning rate of G must be a number, not ''"),
        ({"d_steps": 1.5}, "D updates per step must be a whole number, not 1.5"),
        ({"g_steps": 51}, "G updates per step must be from 1 to 50, not 51"),
        ({"seed": -1}, "Seed must be from 0 to "),
        ({"loss": "hinge", "label_smoothing": 0.1}, "label_smoothing works only with loss non-saturating or minimax"),
    ],
)
def test_bad_options_are_sentences(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        read_options(given)


def test_the_options_are_those_of_the_trainer() -> None:
    options = PlayOptions("grid", "mlp", "minimax", 0.004, 0.002, 3, 2, "uniform", 0.1, 2, 7)
    config = config_of_plane(options)
    for name in ("loss", "d_steps", "g_steps", "prior", "label_smoothing", "pack", "seed"):
        assert getattr(config, name) == getattr(options, name)
    assert config.learning_rate == options.rate_g
    assert config.learning_rate * config.discriminator_rate == options.rate_d
    assert config_of_plane(dataclasses.replace(options, loss="wasserstein", label_smoothing=0.0)).penalty > 0
