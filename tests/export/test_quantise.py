"""Static int8: what is quantised, what is not, and what it costs."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from drawwell.addresses.latents import latents
from drawwell_export import graph, parity
from drawwell_export.quantise import calibrate, quantise
from drawwell_export.targets import RECIPES
from tests.export.test_rewrites import trained

Z, CALIBRATION = {"z": latents(1, range(256), 12)}, {"z": latents(2, range(512), 12)}


@pytest.fixture(scope="module", params=[(28, 1, 8), (32, 3, 8), (64, 3, 8)], ids=["28", "32", "64"])
def pair(request: pytest.FixtureRequest) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The float graph, and the same in int8."""
    model = graph.export(trained(*request.param), 12, RECIPES["cpu-int8"].rewrites)
    return model, quantise(model, calibrate(model, CALIBRATION))


def test_every_convolution_is_in_integers_and_the_ends_are_not(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    model, quantised = ([node.op_type for node in side.graph.node] for side in pair)
    assert quantised.count("QLinearConv") == model.count("Conv") > 0
    assert not {"Conv"} & set(quantised)
    assert quantised.count("Relu") == 1  # the stem's
    assert {"Gemm", "ConvTranspose", "Sigmoid"} <= set(quantised)
    # one way in, one way out, and the pixels: nothing between goes back to float
    assert (quantised.count("QuantizeLinear"), quantised.count("DequantizeLinear")) == (2, 1)
    onnx.checker.check_model(pair[1], full_check=True)


def test_the_pixels_are_near_those_of_float(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    model, quantised = (parity.by_runtime(side)(Z).astype(int) for side in pair)
    assert 0 < np.abs(model - quantised).mean() < 1.5
    assert model.std() > 5


def test_the_float_graph_is_left_as_it_was(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    before = pair[0].SerializeToString()
    quantise(pair[0], calibrate(pair[0], Z))
    assert pair[0].SerializeToString() == before


def test_equal_graphs_give_equal_bytes(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    again = quantise(pair[0], calibrate(pair[0], CALIBRATION))
    assert again.SerializeToString(deterministic=True) == pair[1].SerializeToString(deterministic=True)


class Stack(nn.Module):
    """An image with numbers below 0, and two convolutions of it, each rectified."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.stem = nn.Linear(12, 4 * 36)
        self.first, self.second = (nn.Conv2d(4, 4, 3, padding=1, bias=bias) for _ in range(2))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(self.stem(z).reshape(-1, 4, 6, 6)))
        return torch.relu(self.second(x)) - 0.5


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_of_numbers_below_0_stays_in_float(bias: bool) -> None:
    torch.manual_seed(0)
    network = Stack(bias).eval()
    model = graph.trace(network, {"z": torch.zeros(2, 12)}, ["images"])
    quantised = quantise(model, calibrate(model, CALIBRATION))
    kinds = [node.op_type for node in quantised.graph.node]
    assert (kinds.count("Conv"), kinds.count("QLinearConv")) == (1, 1)
    expected, drawn = network(torch.from_numpy(Z["z"])).detach().numpy(), parity.by_runtime(quantised)(Z)
    assert 0 < np.abs(drawn - expected).mean() < 0.01 * expected.std()


def dead(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.zero_()
            module.bias.fill_(-1)


def one_dead_channel(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight[0], module.bias[0] = 0, 0


@pytest.mark.parametrize("break_it", [dead, one_dead_channel])
def test_channels_that_never_light_up_do_no_harm(break_it: Callable[[nn.Module], None]) -> None:
    generator = trained(32, 3)
    break_it(generator)
    model = graph.export(generator, 12, RECIPES["cpu-int8"].rewrites)
    expected, drawn = (parity.by_runtime(side)(Z).astype(int) for side in (model, quantise(model, calibrate(model, Z))))
    assert np.abs(expected - drawn).mean() < 1.5
    assert torch.isfinite(generator(torch.from_numpy(Z["z"]))).all()
