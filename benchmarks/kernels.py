"""The best rate at which ONNX Runtime multiplies and adds on this machine: a convolution of the sizes that it runs fastest."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.race import Make, race
from benchmarks.report import spread
from drawwell.engine.cores import cores
from drawwell.engine.onnx_session import session_options

_BATCH, _CHANNELS, _PIXELS, _KERNEL = 4, 256, 16, 3
_OPERATIONS = 2 * 2 * _BATCH * _CHANNELS * _CHANNELS * _PIXELS**2 * _KERNEL**2


def measure() -> dict[str, dict[str, float]]:
    """Operations a second on all cores, a thread each, in float32 and in int8."""
    contenders: dict[str, Make] = {"float32": (convolve, (False,)), "int8": (convolve, (True,))}
    return {name: spread(rates) for name, rates in race(contenders, _OPERATIONS * cores()).items()}


def convolve(int8: bool) -> Callable[[], Any]:
    session = onnxruntime.InferenceSession(_model(int8).SerializeToString(), session_options(1))
    x = np.random.default_rng(0).integers(0, 255, (_BATCH, _CHANNELS, _PIXELS, _PIXELS))
    feeds = {"x": x.astype(np.uint8 if int8 else np.float32)}
    pool = ThreadPoolExecutor(cores())
    return lambda: list(pool.map(lambda _: session.run(None, feeds), range(cores())))


def _model(int8: bool) -> onnx.ModelProto:
    """Two in a row, so that the cost of changing the layout at the ends is shared."""
    chance, shape = np.random.default_rng(0), (_CHANNELS, _CHANNELS, _KERNEL, _KERNEL)
    weights = chance.integers(-20, 20, shape)
    constants = {
        "w": weights.astype(np.int8 if int8 else np.float32),
        "scale": np.float32(0.01),
        "zero": np.uint8(0),
        "w_zero": np.int8(0),
    }
    nodes = []
    for source, drain in (("x", "middle"), ("middle", "y")):
        scales = ["scale", "zero"]
        inputs = [source, *scales, "w", "scale", "w_zero", *scales] if int8 else [source, "w"]
        nodes.append(helper.make_node("QLinearConv" if int8 else "Conv", inputs, [drain], pads=[_KERNEL // 2] * 4))
    kind = TensorProto.UINT8 if int8 else TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(name, kind, [_BATCH, _CHANNELS, _PIXELS, _PIXELS]) for name in ("x", "y")]
    used = {name for node in nodes for name in node.input}
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used]
    graph = helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
