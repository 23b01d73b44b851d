"""A trained generator as an ONNX graph: from ``z`` float32 ``[N, D]``, with classes also ``label`` int64 ``[N]``, to ``images``
uint8 ``[N, H, W, C]``."""

import copy
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence

import onnx
import onnxscript  # noqa: F401 - torch.onnx.export needs it, and would fail in the middle without it
import torch
from torch import Tensor, nn

from drawwell.files.sealed_file import messages
from drawwell_train.networks.base import GeneratorNetwork

Rewrite = Callable[[nn.Module], nn.Module]

_OLDEST_OPSET = 13  # every runtime of the last five years reads it


class Pixels(nn.Module):
    """Latents float32 ``[N, D]`` to pixels uint8 ``[N, H, W, C]``: a GPU sends back a quarter of the bytes of floats.

    A head that ends in tanh becomes one that ends in a sigmoid, ``(tanh(x) + 1) / 2 = sigmoid(2x)``, whose 2 goes into
    the last layer's weights. One QuantizeLinear with a step of 1 / 255 scales, rounds half to even and casts. The
    network computes in ``dtype``.
    """

    def __init__(self, generator: GeneratorNetwork, dtype: torch.dtype) -> None:
        super().__init__()
        last_layer, activation = generator.head
        assert isinstance(activation, nn.Tanh | nn.Sigmoid), "the head of every generator"
        if isinstance(activation, nn.Tanh):
            for parameter in last_layer.parameters():
                parameter.mul_(2)
        generator.head[1] = nn.Identity()
        self.network, self.dtype = generator.to(dtype), dtype

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        levels = torch.sigmoid(self.network(z.to(self.dtype), label).float())  # [N, C, H, W] in [0, 1]
        step, zero = levels.new_tensor(1 / 255), torch.zeros((), dtype=torch.uint8)
        pixels = torch.onnx.ops.symbolic(
            "QuantizeLinear", (levels, step, zero), dtype=torch.uint8, shape=levels.shape, version=13
        )
        return pixels.permute(0, 2, 3, 1)


def export(
    generator: GeneratorNetwork, latent_dim: int, rewrites: tuple[Rewrite, ...], dtype: torch.dtype = torch.float32
) -> onnx.ModelProto:
    """Rewrite a copy of the generator and trace it in the lowest opset that its operators allow. Equal weights give equal bytes."""
    network: nn.Module = copy.deepcopy(generator).float().cpu().eval().requires_grad_(False)
    for rewrite in rewrites:
        network = rewrite(network)
    assert isinstance(network, GeneratorNetwork), "rewrites change the inside of a generator"
    return portable(trace(Pixels(network, dtype).eval(), inputs_of(generator, latent_dim), ["images"]))


def inputs_of(generator: GeneratorNetwork, latent_dim: int) -> dict[str, Tensor]:
    """Return examples of the inputs of a generator, to trace it with."""
    label = {} if generator.embedding is None else {"label": torch.zeros(2, dtype=torch.int64)}
    return {"z": torch.zeros(2, latent_dim), **label}


def trace(module: nn.Module, arguments: Mapping[str, Tensor], outputs: Sequence[str]) -> onnx.ModelProto:
    """Return the graph of ``module`` as torch exports it, for every N, which is the first dimension of all inputs.

    ``arguments`` are examples of the inputs by name, in the order of ``forward``, and ``outputs`` the names of what it returns.
    """
    # AUTO is N too: torch warns if both are named
    free = [{0: torch.export.Dim.AUTO if place else torch.export.Dim("N")} for place in range(len(arguments))]
    # torch warns of a missing torchvision, which is not needed here
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # raised inside torch's own exporter
        program = torch.onnx.export(
            module,
            tuple(arguments.values()),
            dynamo=True,
            verbose=False,
            input_names=[*arguments],
            output_names=[*outputs],
            dynamic_shapes=tuple(free),
        )
    assert program is not None, "the dynamo exporter returns its program"
    return program.model_proto


def portable(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a traced graph in the lowest opset that its operators allow, without notes of the machine that traced it."""
    _strip(model)
    model = _lowest_opset(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _strip(model: onnx.ModelProto) -> None:
    """Remove torch's notes about its tracing: they name source files of the exporting machine."""
    for message in messages(model):
        for name in {"metadata_props", "doc_string"} & set(message.DESCRIPTOR.fields_by_name):
            message.ClearField(name)


def _lowest_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    newest = model.opset_import[0].version
    for version in range(_OLDEST_OPSET, newest):
        try:
            lowered = onnx.version_converter.convert_version(model, version)
        except RuntimeError:  # the converter raises it for an operator that is newer than this version
            continue
        lowered.ir_version = onnx.helper.find_min_ir_version_for(lowered.opset_import)
        return lowered
    return model
