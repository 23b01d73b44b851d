"""One step does what algorithm 1 says."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from drawwell_train.config import TrainConfig
from drawwell_train.step import state as states
from drawwell_train.step.batches import Real
from drawwell_train.step.state import TrainState
from drawwell_train.step.steps import train_step
from tests.train.configs import configured

CONFIG = configured(width=4, batch_size=8)


def batch() -> Real:
    return Real(torch.rand(8, 1, 28, 28) * 2 - 1)


def fresh(config: TrainConfig = CONFIG) -> TrainState:
    return states.build(config, torch.device("cpu"))


def test_a_step_moves_both_networks_and_counts() -> None:
    state = fresh()
    before = {name: [p.clone() for p in network.parameters()] for name, network in state.networks().items()}
    stats = train_step(state, CONFIG, batch)
    assert state.step == 1
    assert set(stats) == {"loss_d", "d_real", "d_fake", "accuracy_d", "gradient_d", "loss_g", "gradient_g"}
    for name, network in state.networks().items():
        assert all(not torch.equal(a, b) for a, b in zip(before[name], network.parameters(), strict=True)), name


@pytest.mark.parametrize("k", [1, 3])
def test_d_makes_k_steps_on_fresh_data(k: int) -> None:
    drawn: list[Real] = []

    def counted() -> Real:
        drawn.append(batch())
        return drawn[-1]

    state = fresh()
    train_step(state, replace(CONFIG, d_steps=k), counted)
    assert len(drawn) == k
    assert {int(moments["step"]) for moments in state.optimizer_d.state_dict()["state"].values()} == {k}
    assert {int(moments["step"]) for moments in state.optimizer_g.state_dict()["state"].values()} == {1}


def test_the_losses_are_those_of_the_paper() -> None:
    """With D's outputs known, loss D is -log D(x) - log(1 - D(G(z))) and loss G is -log D(G(z)), the non-saturating one."""
    state = fresh()

    class Constant(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logit = torch.nn.Parameter(torch.tensor(0.7))

        def forward(self, images: Tensor, _: Tensor | None = None) -> Tensor:
            return self.logit + 0 * images.flatten(1).sum(1)

    state.discriminator = Constant()  # type: ignore[assignment]
    group = {"params": state.discriminator.parameters(), "initial_lr": 0.0, "decay": 0.0}
    state.optimizer_d = torch.optim.SGD([group], lr=0.0)
    stats = train_step(state, CONFIG, batch)
    probability = torch.sigmoid(torch.tensor(0.7))
    assert stats["loss_d"] == pytest.approx(float(-probability.log() - (1 - probability).log()))
    assert stats["loss_g"] == pytest.approx(float(-probability.log()))
    assert stats["d_real"] == pytest.approx(float(probability))


def steps(state: TrainState, count: int, rate_d: float, rate_g: float) -> list[dict[str, float]]:
    """Train on white images at these learning rates; one that is 0 keeps its network still. The statistics of each step."""
    for optimizer, rate in ((state.optimizer_d, rate_d), (state.optimizer_g, rate_g)):
        optimizer.param_groups[0]["initial_lr"] = rate
    taken = [train_step(state, CONFIG, lambda: Real(torch.ones(8, 1, 28, 28))) for _ in range(count)]
    return [{name: float(value) for name, value in stats.items()} for stats in taken]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_network_beats_the_other_while_that_one_stands_still(seed: int) -> None:
    """Where both learn they beat each other in turn, and rounding alone decides which of them a given step finds ahead."""
    state = fresh(replace(CONFIG, seed=seed))
    of_d = steps(state, 30, rate_d=2e-3, rate_g=0.0)[-1]
    assert of_d["d_real"] > 0.9 > 0.1 > of_d["d_fake"]
    assert of_d["accuracy_d"] == 1
    of_g = steps(state, 60, rate_d=0.0, rate_g=2e-3)
    assert of_g[0]["d_fake"] < 0.1 < 0.5 < of_g[-1]["d_fake"]
    assert of_g[-1]["loss_g"] < of_g[0]["loss_g"] / 3


def test_the_ema_follows_with_its_half_life() -> None:
    """After the ramp, a weight that jumps by 1 has come half the way after ``ema_halflife_images``."""
    config = replace(CONFIG, ema_halflife_images=80, learning_rate=1e-12)
    state = fresh(config)
    state.step = 1000
    for parameter in state.ema.parameters():
        parameter.zero_()
    goal = [parameter.clone() for parameter in state.generator.parameters()]
    for _ in range(10):
        train_step(state, config, batch)
    for average, wanted in zip(state.ema.parameters(), goal, strict=True):
        assert torch.allclose(average, wanted / 2, atol=1e-4)


def test_the_ema_has_batch_norm_statistics_of_its_own() -> None:
    state = fresh()
    for _ in range(3):
        train_step(state, CONFIG, batch)
    statistics = {name: buffer for name, buffer in state.ema.named_buffers() if "running_var" in name}
    assert statistics
    assert all(not torch.equal(buffer, torch.ones_like(buffer)) for buffer in statistics.values())
    assert not state.ema.training


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_both_priors_train(prior: str) -> None:
    config = replace(CONFIG, prior=prior)  # type: ignore[arg-type]
    assert all(value.isfinite() for value in train_step(fresh(config), config, batch).values())


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (64, 3), (128, 1)])
def test_every_size_trains_in_bfloat16(size: int, channels: int) -> None:
    config = replace(CONFIG, size=size, channels=channels, precision="bfloat16")  # type: ignore[arg-type]
    stats = train_step(fresh(config), config, lambda: Real(torch.rand(8, channels, size, size) * 2 - 1))
    assert all(value.isfinite() for value in stats.values())
    assert all(p.dtype == torch.float32 for p in fresh(config).generator.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preset": "deep-cnn"},
        {"preset": "wgan"},
        {"preset": "wgan-gp", "diffaugment": True, "flip": True},
        {"spectral_norm": True, "precision": "bfloat16"},
        {"conditional": True, "class_names": ("a", "b")},
    ],
    ids=str,
)
def test_the_state_survives_the_way_to_tensors_and_back(options: dict[str, Any]) -> None:
    """Moments, dropout, a penalty's random numbers, the vectors of spectral normalisation, embeddings: a step later all is equal."""
    config = configured(**{"width": 8, "batch_size": 8} | options)
    real = batch()._replace(labels=torch.arange(8) % 2 if config.conditional else None)
    state = fresh(config)
    for _ in range(3):
        train_step(state, config, lambda: real)
    tensors = states.to_tensors(state)
    again = fresh(replace(config, seed=9))
    states.restore(again, tensors, state.step)
    assert states.digest(states.to_tensors(again)) == states.digest(tensors)
    torch.set_rng_state(tensors["random.cpu"])
    train_step(state, config, lambda: real)
    torch.set_rng_state(tensors["random.cpu"])
    train_step(again, config, lambda: real)
    assert states.digest(states.to_tensors(again)) == states.digest(states.to_tensors(state))
