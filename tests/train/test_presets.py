"""Every preset has the networks, the losses and the optimizers of its source, and makes steps with every option."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn

from drawwell_train.config import TrainConfig
from drawwell_train.data.dataset import load
from drawwell_train.data.images import ImageData
from drawwell_train.networks.base import lowest
from drawwell_train.options import TrainOptions
from drawwell_train.presets import PRESETS, PresetName
from drawwell_train.step import state as states
from drawwell_train.step.batches import Real
from drawwell_train.step.state import TrainState
from drawwell_train.step.steps import train_step
from tests.train.configs import configured

NAMES = get_args(PresetName)


def resolved(preset: str, size: int = 28, channels: int = 1, **options: object) -> TrainConfig:
    return configured(**{"preset": preset, "size": size, "channels": channels, "batch_size": 8} | options)


def fresh(config: TrainConfig) -> TrainState:
    return states.build(config, torch.device("cpu"))


def batches(config: TrainConfig) -> Real:
    shape = config.batch_size, config.channels, config.size, config.size
    black = lowest(config.sigmoid)
    labels = torch.arange(shape[0]) % len(config.class_names) if config.class_names else None
    return Real(torch.rand(shape) * (1 - black) + black, labels)


PARAMETERS = {
    ("mlp", 28, 1): (143_634, 132_951),
    ("cnn", 28, 1): (840_321, 212_865),
    ("deep-cnn", 28, 1): (390_577, 4_311_553),
    ("deep-cnn", 32, 3): (489_859, 4_314_753),
    ("dcgan", 128, 3): (12_786_563, 11_164_481),
    ("wgan", 64, 3): (3_576_707, 2_765_633),
    ("wgan-gp", 64, 3): (3_576_707, 2_764_737),
    ("sngan", 32, 3): (1_068_931, 2_928_193),
    ("rpgan", 28, 1): (759_681, 183_409),
}


@pytest.mark.parametrize(("preset", "size", "channels"), PARAMETERS)
def test_parameter_counts_are_pinned(preset: str, size: int, channels: int) -> None:
    state = fresh(resolved(preset, size, channels))
    counts = tuple(sum(p.numel() for p in network.parameters()) for network in (state.generator, state.discriminator))
    assert counts == PARAMETERS[preset, size, channels]


@pytest.mark.parametrize("classes", [(), ("a", "b", "c")])
@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3)])
@pytest.mark.parametrize("preset", NAMES)
def test_every_preset_makes_steps(preset: str, size: int, channels: int, classes: tuple[str, ...]) -> None:
    config = resolved(preset, size, channels, width=16, class_names=classes, conditional=bool(classes))
    state = fresh(config)
    before = {name: dict(network.state_dict()) for name, network in copy.deepcopy(state.networks()).items()}
    for _ in range(2):
        stats = train_step(state, config, lambda: batches(config))
    assert all(value.isfinite() for value in stats.values())
    for name, network in state.networks().items():
        still = {key for key, weight in network.named_parameters() if torch.equal(weight, before[name][key])}
        # adding a number to a critic changes no difference of its values, nor to D where all images lie within the hinge's margins
        free = {
            "wgan": {"head.bias"},
            "wgan-gp": {"head.bias"},
            "sngan": {"head.1.bias"},
            "rpgan": {"head.1.bias"},
        }.get(config.preset, set())
        assert still <= free, name
    images = state.generator(torch.randn(4, 100), torch.tensor([0, 1, 2, 0]) if classes else None)
    assert images.shape == (4, channels, size, size)
    assert state.generator.lowest == lowest(config.sigmoid)
    assert images.min() >= state.generator.lowest and images.max() <= 1


def test_rpgan_is_sngan_with_the_options_that_won_the_contest() -> None:
    won: dict[str, Any] = {
        "loss": "relativistic",
        "d_norm": "none",
        "r1": 0.05,
        "r2": 0.05,
        "penalty_form": "finite-difference",
    }
    explicit = resolved("sngan", d_width=16, schedule="constant", ema_halflife_images=10_000, **won)
    assert replace(explicit, preset="rpgan") == resolved("rpgan")


@pytest.mark.parametrize("preset", NAMES)
def test_options_of_all_presets(preset: str) -> None:
    """Packing, spectral normalisation (but of clipped weights), both augmentations, the uniform prior, several steps of G."""
    options: dict[str, Any] = {"pack": 2, "diffaugment": True, "flip": True, "prior": "uniform", "g_steps": 2}
    config = resolved(preset, width=16, spectral_norm=preset != "wgan", **options)
    stats = train_step(fresh(config), config, lambda: batches(config))
    assert all(value.isfinite() for value in stats.values())


def test_a_critic_of_wgan_keeps_its_weights_small() -> None:
    config = resolved("wgan", width=8)
    state = fresh(config)
    train_step(state, config, lambda: batches(config))
    assert all(bool((weight.abs() <= 0.01).all()) for weight in state.discriminator.parameters())


def test_the_critic_of_wgan_gp_has_no_batch_norm() -> None:
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in fresh(resolved("wgan-gp")).discriminator.modules())


def test_spectral_norms_become_one() -> None:
    config = resolved("dcgan", width=8, spectral_norm=True)
    state = fresh(config)
    for _ in range(20):
        train_step(state, config, lambda: batches(config))
    state.discriminator.eval()
    for layer in state.discriminator.modules():
        if isinstance(layer, nn.Conv2d):
            largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
            assert float(largest) == pytest.approx(1, rel=0.1)


def test_the_learning_rate_decays_as_keras_means_it() -> None:
    config = resolved("deep-cnn", width=8)
    state = fresh(config)
    state.step = 1_000_000
    train_step(state, config, lambda: batches(config))
    assert state.optimizer_d.param_groups[0]["lr"] == pytest.approx(8e-4 / 1.06)
    assert state.optimizer_g.param_groups[0]["lr"] == pytest.approx(4e-4 / 1.03)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "mlp", "size": 64}, "28 or 32 px, not 64"),
        ({"loss": "wasserstein"}, "presets wgan and wgan-gp"),
        ({"preset": "wgan", "loss": "minimax"}, "presets wgan and wgan-gp"),
        ({"preset": "wgan-gp", "label_smoothing": 0.1}, "probabilities"),
        ({"preset": "cnn", "beta1": 0.5}, "RMSProp"),
        ({"pack": 2, "conditional": True}, "remove one of them"),
        ({"preset": "wgan", "spectral_norm": True}, "remove spectral_norm, or use another preset"),
        ({"preset": "deep-cnn", "width": 7}, "at least 8"),
        ({"pack": 3}, "must divide"),
        ({"label_smoothing": 1.0}, "must be in"),
        ({"preset": "sngan", "loss": "wasserstein"}, "presets wgan and wgan-gp"),
        ({"preset": "wgan-gp", "loss": "hinge"}, "presets wgan and wgan-gp"),
        ({"preset": "sngan", "label_smoothing": 0.1}, "label_smoothing works only with loss non-saturating or minimax"),
        (
            {"loss": "relativistic", "label_smoothing": 0.1},
            "label_smoothing works only with loss non-saturating or minimax",
        ),
        ({"preset": "wgan-gp", "r1": 0.1}, "clipped or penalised already"),
        ({"preset": "wgan", "r2": 0.1}, "clipped or penalised already"),
        ({"r1": 0.1}, "mixes the images: use d_norm none or spectral"),
        ({"preset": "sngan", "r1": -1.0}, "r1 must be 0 or more"),
        ({"preset": "sngan", "r2": math.inf}, "r2 must be 0 or more"),
        ({"consistency": math.nan}, "consistency must be 0 or more"),
        ({"preset": "sngan", "penalty_every": 0}, "penalty_every must be at least 1"),
        ({"d_width": 0}, "d_width must be at least 1"),
        ({"preset": "deep-cnn", "d_width": 4}, "at least 8"),
        ({"spectral_norm": True, "d_norm": "batch"}, "remove one of the two options"),
        ({"preset": "mlp", "d_norm": "batch"}, "has no batch norm"),
        ({"minibatch_std": True}, "only with presets sngan and rpgan, not with dcgan"),
        ({"preset": "sngan", "minibatch_std": True, "batch_size": 6}, "a multiple of 4, not 6"),
        ({"preset": "sngan", "minibatch_std": True, "batch_size": 12, "pack": 2}, "a multiple of 8, not 12"),
        ({"preset": "sngan", "pack": 2, "conditional": True}, "remove one of them"),
        ({"diffaugment": True, "diffaugment_policy": ()}, "diffaugment_policy is empty"),
        ({"diffaugment_policy": ("cutout",)}, "add diffaugment"),
        ({"preset": "wgan-gp", "d_norm": "batch"}, "mixes the images: use d_norm none or spectral"),
        ({"preset": "sngan", "loss": "relativistic", "r1": 0.1}, "r1 alone diverges"),
        ({"preset": "sngan", "penalty_every": 8}, "no effect while r1 and r2 are 0"),
        ({"preset": "wgan-gp", "penalty_form": "finite-difference"}, "no effect while r1 and r2 are 0"),
        ({"preset": "cnn", "r1": 0.1, "penalty_form": "finite-difference"}, "dropout"),
        ({"preset": "cnn", "consistency": 1.0}, "consistency does not work with preset cnn, whose dropout"),
        ({"preset": "deep-cnn", "d_width": 4}, "d_width must be at least 8 .* not 4"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrainOptions("x", **options)  # type: ignore[arg-type]


def test_optimizers_have_the_numbers_of_their_sources() -> None:
    numbers = {}
    for name in NAMES:
        state = fresh(resolved(name, width=16))
        groups = [optimizer.param_groups[0] for optimizer in (state.optimizer_g, state.optimizer_d)]
        memory = "betas" if "betas" in groups[0] else "alpha"
        numbers[name] = (groups[0]["initial_lr"], groups[1]["initial_lr"], groups[0][memory], groups[0]["eps"])
    assert numbers == {
        "mlp": (1e-3, 1e-3, 0.9, 1e-7),
        "cnn": (1e-3, 1e-3, 0.9, 1e-7),
        "deep-cnn": (4e-4, 8e-4, 0.9, 1e-7),
        "dcgan": (2e-4, 2e-4, (0.5, 0.999), 1e-8),
        "wgan": (5e-5, 5e-5, 0.99, 1e-8),
        "wgan-gp": (1e-4, 1e-4, (0.0, 0.9), 1e-8),
        "sngan": (2e-4, 2e-4, (0.5, 0.999), 1e-8),
        "rpgan": (2e-4, 2e-4, (0.5, 0.999), 1e-8),
    }
    assert (PRESETS["wgan-gp"].penalty, PRESETS["wgan"].clip_weights, PRESETS["deep-cnn"].clip_gradients) == (
        10,
        0.01,
        1,
    )


def test_batch_norms_are_as_keras_has_them() -> None:
    for name, momentum in (("cnn", 0.01), ("deep-cnn", 0.1)):
        norms = [
            layer
            for layer in fresh(resolved(name)).generator.modules()
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
        ]
        assert {(layer.eps, layer.momentum) for layer in norms} == {(1e-3, momentum)}


def test_gradients_are_clipped_by_value() -> None:
    config = resolved("deep-cnn", width=8)
    state = fresh(config)
    for group in state.optimizer_d.param_groups:
        group["initial_lr"] = 0.0
    with torch.no_grad():
        for weight in state.discriminator.parameters():
            weight.mul_(30)
    train_step(state, config, lambda: batches(config))
    assert all(
        bool((weight.grad.abs() <= 1).all()) for weight in state.generator.parameters() if weight.grad is not None
    )


def test_all_presets_are_named() -> None:
    assert set(PRESETS) == set(NAMES)


def test_images_take_a_size_that_the_preset_has(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 40, 40, 3), np.uint8))
    sizes = {
        name: load(str(tmp_path / "x.npy"), sizes=PRESETS[name].sizes).images.shape[1] for name in ("mlp", "dcgan")
    }
    assert sizes == {"mlp": 32, "dcgan": 64}


def test_labels_that_are_learned_are_part_of_the_data() -> None:
    images, labels = np.zeros((3, 28, 28, 1), np.uint8), np.array([0, 1, 1])
    data, others = (ImageData(images, which, ("a", "b")) for which in (labels, 1 - labels))
    assert data.sha256() == others.sha256()
    assert data.sha256(with_labels=True) != others.sha256(with_labels=True)
