"""Static int8: the convolutions of a float graph in 8-bit integers (Jacob et al. 2018, "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", section 2).

A number a is kept as an integer q with ``a = scale * q``. Activations follow a ReLU, so they are uint8 with zero
point 0, and cutting off below 0 is the ReLU. Weights are int8, with one scale for each output channel. Nodes that
only move numbers move bytes. The stem and the last layer stay in float, and so does every convolution without a ReLU
both right before and right after it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import NodeProto, helper, numpy_helper

from drawwell.engine.cores import cores
from drawwell.engine.onnx_session import session_options
from drawwell.image_request import Feeds
from drawwell_export.parity import batches
from drawwell_export.plan import Plan

PERCENTILE = 99.99
"""Among 99 to 100, this gave the lowest or nearly the lowest mean error on three generators, and half the largest error of 99.9."""
CALIBRATION_IMAGES = 4096

_ZERO = "zero_point"


@dataclass(frozen=True)
class Calibration:
    """The ranges of a float graph's activations."""

    ranges: Mapping[str, float]
    """By tensor, the number that the largest byte stands for: the ``PERCENTILE`` of its values, averaged over batches."""
    beyond: npt.NDArray[np.int64]
    """For each image, the number of its activations beyond the range, int64 ``[N]``: there integers are largest."""


def brightest(beyond: npt.NDArray[np.int64], count: int) -> list[int]:
    """Return the positions of the ``count`` images whose integer sums come nearest to an overflow, in order."""
    return sorted(np.argsort(-beyond, kind="stable")[:count].tolist())


def calibrate(model: onnx.ModelProto, inputs: Feeds) -> Calibration:
    """Draw ``inputs`` with the float graph and find the ranges of the tensors that become bytes; none if no convolution fits."""
    observed, names = onnx.ModelProto(), Plan(model).observed()
    if not names:
        return Calibration({}, np.zeros(len(inputs["z"]), np.int64))
    observed.CopyFrom(model)
    observed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(observed.SerializeToString(), session_options(cores()))
    ranges, beyond = [], []
    for batch in batches(inputs):
        seen = session.run(names, batch)
        ranges.append([np.percentile(values, PERCENTILE) for values in seen])
        beyond.append(
            sum((values > most).reshape(len(values), -1).sum(1) for values, most in zip(seen, ranges[-1], strict=True))
        )
    return Calibration(dict(zip(names, np.mean(ranges, axis=0).tolist(), strict=True)), np.concatenate(beyond))


def quantise(model: onnx.ModelProto, calibration: Calibration) -> onnx.ModelProto:
    """Return ``model`` with every Conv between two Relus, and the second of them, as one QLinearConv."""
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    _Writer(quantised, Plan(model), calibration.ranges).write()
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


class _Writer:
    """Rewrites the nodes of a graph, each on bytes or on floats."""

    def __init__(self, model: onnx.ModelProto, plan: Plan, ranges: Mapping[str, float]) -> None:
        self.graph, self.plan, self.ranges = model.graph, plan, ranges
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.nodes: list[NodeProto] = []
        self.in_bytes: set[str] = set()
        self.in_floats = {value.name for value in model.graph.input} | set(self.constants)

    def write(self) -> None:
        self._constant(_ZERO, np.uint8(0))
        for name in self.plan.observed():
            self._constant(f"{name}.scale", self._scale_value(name))
        fused = set(self.plan.relu.values())
        for node in self.graph.node:
            if node.output[0] in self.plan.relu:
                self._convolve(node)
            elif self.plan.moves_bytes(node):
                self._move(node)
            elif node.output[0] not in fused:
                self._copy(node)
        used = {name for node in self.nodes for name in node.input}
        del self.graph.node[:], self.graph.initializer[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(tensor for name, tensor in self.constants.items() if name in used)

    def _convolve(self, node: NodeProto) -> None:
        source, weight, *bias = node.input
        rectified = self.plan.relu[node.output[0]]
        floats = numpy_helper.to_array(self.constants[weight])
        # torch's exporter leaves out a bias of zeros
        offsets = numpy_helper.to_array(self.constants[bias[0]]) if bias else np.zeros(len(floats), np.float32)
        scales = _weight_scales(floats, offsets, self._scale_value(source))
        product = self._scale_value(source) * scales
        integers: dict[str, npt.NDArray[np.generic]] = {
            f"{weight}.int8": np.round(floats / scales[:, None, None, None]).astype(np.int8),
            f"{weight}.scale": scales,
            f"{weight}.zero_point": np.zeros(len(scales), np.int8),
            f"{weight}.bias": np.round(offsets / product).astype(np.int32),
        }
        for name, value in integers.items():
            self._constant(name, value)
        filters, filter_scales, filter_zeros, biases = integers
        inputs = [self._bytes(source), self._scale(source), _ZERO, filters, filter_scales, filter_zeros]
        inputs += [self._scale(rectified), _ZERO, biases]
        self._add("QLinearConv", inputs, f"{rectified}.uint8", node.attribute)
        self.in_bytes.add(rectified)

    def _move(self, node: NodeProto) -> None:
        inputs = [self._bytes(name) if name in self.plan.scale_of else name for name in node.input]
        self._add(node.op_type, inputs, f"{node.output[0]}.uint8", node.attribute)
        self.in_bytes.add(node.output[0])

    def _copy(self, node: NodeProto) -> None:
        for name in node.input:
            if name not in self.in_floats:
                self._add("DequantizeLinear", [f"{name}.uint8", self._scale(name), _ZERO], name)
                self.in_floats.add(name)
        self.nodes.append(node)
        self.in_floats.update(node.output)

    def _bytes(self, name: str) -> str:
        if name not in self.in_bytes:
            self._add("QuantizeLinear", [name, self._scale(name), _ZERO], f"{name}.uint8")
            self.in_bytes.add(name)
        return f"{name}.uint8"

    def _scale(self, name: str) -> str:
        return f"{self.plan.scale_of[name]}.scale"

    def _scale_value(self, name: str) -> np.float32:
        return np.float32(self.ranges[self.plan.scale_of.get(name, name)] / 255 or 1)  # 1 where nothing ever lights up

    def _constant(self, name: str, value: npt.NDArray[np.generic] | np.generic) -> None:
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)

    def _add(self, kind: str, inputs: list[str], output: str, attributes: Iterable[onnx.AttributeProto] = ()) -> None:
        node = helper.make_node(kind, inputs, [output])
        node.attribute.extend(attributes)
        self.nodes.append(node)


def _weight_scales(
    weights: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], scale: np.float32
) -> npt.NDArray[np.float32]:
    """For each output channel, so that its weights fit into int8, and its bias, in steps of both scales, into int32."""
    largest = np.abs(weights).reshape(len(weights), -1).max(1) / 127
    scales: npt.NDArray[np.float32] = np.maximum(largest, np.abs(bias) / (scale * 2**30)).astype(np.float32)
    return np.where(scales > 0, scales, np.float32(1))
