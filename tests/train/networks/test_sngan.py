"""The discriminator of preset sngan is that of its papers, at every size, and tells a batch's variety where it is asked to."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from drawwell_train.config import TrainConfig
from drawwell_train.data.images import ImageData
from drawwell_train.networks.base import discriminate
from drawwell_train.networks.sngan import MinibatchStd, SnganDiscriminator
from drawwell_train.step import penalties
from drawwell_train.step import state as states
from drawwell_train.step.batches import Batches, Real
from drawwell_train.step.penalties import regularization
from drawwell_train.step.state import TrainState
from drawwell_train.step.steps import discriminate_both, train_step
from tests.train import configs


def configured(size: int = 32, channels: int = 3, **options: Any) -> TrainConfig:
    return configs.configured(
        **{"size": size, "channels": channels, "width": 4, "batch_size": 8, "preset": "sngan"} | options
    )


def fresh(config: TrainConfig) -> TrainState:
    return states.build(config, torch.device("cpu"))


@pytest.mark.parametrize(
    ("size", "channels", "places"),
    [
        (28, [1, 1, 2, 2, 4, 4, 8], 3),
        (32, [1, 1, 2, 2, 4, 4, 8], 4),
        (64, [1, 1, 2, 2, 4, 4, 8, 8, 8], 4),
        (128, [1, 1, 2, 2, 4, 4, 8, 8, 8, 8, 8], 4),
    ],
)
def test_its_layers_are_pairs_of_3x3_and_4x4(size: int, channels: list[int], places: int) -> None:
    network = SnganDiscriminator(size, 3, 64)
    layers = [layer for layer in network.body.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [64 * count for count in channels]
    pairs = [((3, 3), (1, 1)), ((4, 4), (2, 2))] * (len(layers) // 2) + [((3, 3), (1, 1))]
    assert [(layer.kernel_size, layer.stride) for layer in layers] == pairs
    assert {layer.negative_slope for layer in network.body.modules() if isinstance(layer, nn.LeakyReLU)} == {0.1}
    assert network.features(torch.zeros(2, 3, size, size)).shape == (2, 512, places, places)


def test_every_weight_is_normalised_the_embedding_too() -> None:
    network = fresh(configured(conditional=True, class_names=("a", "b"))).discriminator
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 7 + 1 + 1
    assert all(nn.utils.parametrize.is_parametrized(layer, "weight") for layer in layers)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    for _ in range(200):
        network(torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 0, 1]))
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, rel=0.02)


def test_one_pass_over_both_is_two_passes_over_each() -> None:
    config = configured(d_norm="none")
    network = fresh(config).discriminator
    real, fake = torch.randn(2, 8, 3, 32, 32).unbind()
    logits = discriminate_both(network, config, real, fake, None)
    for together, alone in zip(logits, (network(real), network(fake)), strict=True):
        assert torch.allclose(together, alone, atol=1e-6)


def test_one_pass_halves_the_power_iterations() -> None:
    """The vectors of spectral normalisation after one step of each network are those of two passes: of D's step and of G's."""
    config = configured(learning_rate=1e-30)
    state, other = fresh(config), fresh(config)
    train_step(state, config, lambda: Real(torch.randn(8, 3, 32, 32)))
    for _ in range(2):
        other.discriminator(torch.randn(8, 3, 32, 32))
    for name, buffer in other.discriminator.named_buffers():
        assert torch.allclose(buffer, state.discriminator.state_dict()[name], atol=1e-5), name


def test_minibatch_std_is_karras_statistic_of_groups_of_four() -> None:
    x = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    more = MinibatchStd()(x)
    assert torch.equal(more[:, :3], x)
    for first in (0, 4):
        expected = x[first : first + 4].std(0, correction=0).mean()
        assert torch.allclose(more[first : first + 4, 3], expected.expand(4, 2, 2), atol=1e-4)
    assert MinibatchStd()(x[:3])[:, 3].abs().max() < 1e-3, "images that make no group are alone"


def test_generated_images_do_not_vary_more_for_the_real_ones_beside_them() -> None:
    """In one pass, groups are of real images alone and of generated ones alone."""
    config = configured(minibatch_std=True, d_norm="none")
    network = fresh(config).discriminator
    real, same = torch.randn(8, 3, 32, 32), torch.zeros(8, 3, 32, 32)
    _, beside = discriminate_both(network, config, real, same, None)
    assert torch.allclose(beside, network(same), atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"minibatch_std": True},
        {"pack": 2},
        {"loss": "relativistic", "r1": 0.1, "r2": 0.1},
        {"loss": "relativistic", "r1": 0.1, "r2": 0.1, "d_norm": "none", "pack": 2, "penalty_every": 2},
        {"r1": 0.1, "r2": 0.1, "penalty_form": "finite-difference", "precision": "bfloat16", "pack": 2},
        {"consistency": 10.0, "flip": True, "diffaugment": True, "diffaugment_policy": ("color",)},
        {"consistency": 10.0, "pack": 2, "precision": "bfloat16"},
        {"d_norm": "batch", "loss": "non-saturating", "d_width": 2, "label_smoothing": 0.1},
        {
            "conditional": True,
            "class_names": ("a", "b"),
            "loss": "relativistic",
            "consistency": 1.0,
            "r1": 1.0,
            "r2": 1.0,
        },
    ],
    ids=str,
)
@pytest.mark.parametrize(("size", "channels"), [(28, 1), (64, 3)])
def test_every_option_makes_steps_that_can_be_repeated(options: dict[str, Any], size: int, channels: int) -> None:
    config = configured(size, channels, **options)
    labels = torch.arange(8) % 2 if config.conditional else None
    real = Real(torch.rand(8, channels, size, size) * 2 - 1, labels)
    digests = []
    for _ in range(2):
        state = fresh(config)
        for _ in range(2):
            stats = train_step(state, config, lambda: real)
            assert all(value.isfinite() for value in stats.values())
        digests.append(states.digest(states.to_tensors(state)))
    assert digests[0] == digests[1]


def test_penalties_are_taken_every_n_steps_and_count_n_times() -> None:
    """A huge gamma shows in D's gradient at the steps at which it is taken, and at no other."""

    def norms(every: int) -> list[float]:
        config = configured(d_norm="none", r1=1e6, r2=1e6, penalty_every=every, learning_rate=1e-30)
        state = fresh(config)
        real = Real(torch.rand(8, 3, 32, 32))
        return [float(train_step(state, config, lambda: real)["gradient_d"]) for _ in range(6)]

    seldom = norms(3)
    assert min(seldom[0::3]) > 100 * max(seldom[1::3] + seldom[2::3])
    assert seldom[0] == pytest.approx(3 * norms(1)[0], rel=0.2)


def penalty_of(network: Any, config: TrainConfig, real: Tensor, fake: Tensor, labels: Tensor | None) -> float:
    """All penalties of a discriminator at step 0."""
    logits = discriminate(network, config, real, labels)
    return float(regularization(network, config, 0, real, fake, logits, labels).detach())


class Linear(nn.Module):
    """f(x) = <w, x>, whose gradient is w everywhere."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, numbers))

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """A label scales the output, so that it is seen which images a penalty is of."""
        logits = images.flatten(1) @ self.weight
        return logits if label is None else label * logits


def test_penalties_have_their_weights_and_are_of_their_own_images() -> None:
    config = configured(28, 1, r1=0.5, r2=3.0, d_norm="none", consistency=7.0, conditional=True, class_names=("a", "b"))
    network = Linear(28 * 28)
    real, fake = torch.randn(2, 8, 1, 28, 28).unbind()
    ones, squared = torch.ones(8), float(network.weight.detach().square().sum())

    def penalty(config: TrainConfig) -> float:
        return penalty_of(network, config, real, fake, ones)

    only = {name: configured(28, 1, **{"d_norm": "none", "r1": 0.0, "r2": 0.0} | {name: 2.0}) for name in ("r1", "r2")}
    for one in only.values():
        assert penalty(one) == pytest.approx(squared, rel=1e-4)
    torch.manual_seed(0)
    found = penalty(config)
    torch.manual_seed(0)
    moved = penalty(configured(28, 1, consistency=1.0))
    assert found == pytest.approx(0.25 * squared + 1.5 * squared + 7 * moved, rel=1e-4)
    assert moved > 0


def test_r1_is_of_real_and_r2_of_generated_images() -> None:
    """f(x) = |x|**2 / 2 has the gradient x."""

    class Quadratic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
            return self.scale * images.flatten(1).square().sum(1) / 2 * (1 if label is None else label)

    network = Quadratic()
    real, fake = torch.full((8, 1, 28, 28), 0.5), torch.full((8, 1, 28, 28), 0.25)
    for name, value in (("r1", 0.5), ("r2", 0.25)):
        config = configured(28, 1, d_norm="none", **{name: 2.0})
        found = penalty_of(network, config, real, fake, None)
        assert found == pytest.approx(28 * 28 * value**2, rel=1e-4)


def test_the_finite_difference_is_of_the_noise_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without noise it is 0, also while power iterations go on and in bfloat16."""
    config = configured(r1=1.0, r2=1.0, penalty_form="finite-difference", precision="bfloat16")
    monkeypatch.setattr(penalties, "random_shard", lambda _, shape, device: torch.zeros(shape, device=device))
    real, fake = torch.randn(2, 8, 3, 32, 32).unbind()
    assert penalty_of(fresh(config).discriminator, config, real, fake, None) == 0


class NoSync(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails where a number is taken from a tensor, which on a device waits for all that was asked of it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "a step waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "dcgan", "flip": True, "diffaugment": True},
        {"loss": "relativistic", "r1": 0.1, "r2": 0.1, "consistency": 1.0},
        {"preset": "wgan-gp"},
        {"preset": "deep-cnn", "width": 8},
    ],
    ids=str,
)
def test_a_step_waits_for_no_device(options: dict[str, Any]) -> None:
    config = configured(28, 1, **options)
    state = fresh(config)
    images = ImageData(np.zeros((64, 28, 28, 1), np.uint8))
    batches = Batches(images, config, torch.device("cpu"), 0)
    train_step(state, config, batches.next)  # the first makes the optimizers' moments
    with NoSync():  # type: ignore[no-untyped-call]
        train_step(state, config, batches.next)


def test_the_learning_rate_falls_to_zero_in_a_line() -> None:
    config = configured(steps=4)
    state, rates = fresh(config), []
    for _ in range(4):
        train_step(state, config, lambda: Real(torch.rand(8, 3, 32, 32)))
        rates.append(state.optimizer_d.param_groups[0]["lr"])
    assert rates == pytest.approx([2e-4, 1.5e-4, 1e-4, 0.5e-4])
