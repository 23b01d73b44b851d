"""Several generator graphs as one, in standard operators: each address is drawn by the graph of its member.

For each member its rows are gathered and drawn by its graph. At the end all rows are put back into their order. An ``If``
skips a member without rows: a single image costs one generator, a batch at most one smaller batch per generator, and no
runtime gets an empty batch.
"""

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper


def join(models: list[ModelProto]) -> ModelProto:
    """Return one graph from ``z``, with classes ``label``, and ``member`` int64 ``[N]``, to ``images``.

    A single model is returned as it is.
    """
    if len(models) == 1:
        return models[0]
    models = _of_one_opset(models)
    first, members = models[0].graph, range(len(models))
    nodes = [node for place, model in enumerate(models) for node in _routed(place, model.graph)]
    nodes += _put_back([f"rows.{place}" for place in members], [f"images.{place}" for place in members])
    constants = _CONSTANTS | {f"place.{place}": np.int64(place) for place in members}
    constants["nothing"] = np.array([0, *_image_shape(first)])
    graph = helper.make_graph(
        nodes,
        "mixture",
        [*first.input, helper.make_tensor_value_info("member", TensorProto.INT64, _batch(first))],
        first.output,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    joined = helper.make_model(graph, opset_imports=models[0].opset_import)
    joined.ir_version, joined.producer_name = models[0].ir_version, models[0].producer_name
    onnx.checker.check_model(joined, full_check=True)
    return joined


_CONSTANTS = {"flat": np.array([-1]), "zero": np.int64(0), "one": np.int64(1)}


def _routed(place: int, graph: GraphProto) -> Iterable[NodeProto]:
    """Nodes for ``rows.PLACE``, the rows of the batch that belong to this member, and ``images.PLACE``, drawn by its graph."""
    rows, images = f"rows.{place}", f"images.{place}"
    yield helper.make_node("Equal", ["member", f"place.{place}"], [f"is.{place}"])
    yield helper.make_node("NonZero", [f"is.{place}"], [f"found.{place}"])  # [1, n]
    yield helper.make_node("Reshape", [f"found.{place}", "flat"], [rows])  # [n]
    yield helper.make_node("Size", [rows], [f"count.{place}"])
    yield helper.make_node("Cast", [f"count.{place}"], [f"any.{place}"], to=TensorProto.BOOL)
    branches = {"then_branch": _drawing(place, graph), "else_branch": _empty(place, graph)}
    yield helper.make_node("If", [f"any.{place}"], [images], **branches)


def _drawing(place: int, graph: GraphProto) -> GraphProto:
    """The graph of the member with its weights, on the gathered rows."""
    gathers = [
        helper.make_node("Gather", [value.name, f"rows.{place}"], [_own(place, value.name)], axis=0)
        for value in graph.input
    ]
    nodes, tensors = [NodeProto.FromString(node.SerializeToString()) for node in graph.node], []
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [name and _own(place, name) for name in names]  # an absent optional input is ""
        node.name = node.name and _own(place, node.name)
    for tensor in graph.initializer:
        tensors.append(TensorProto.FromString(tensor.SerializeToString()))
        tensors[-1].name = _own(place, tensor.name)
    return helper.make_graph(
        [*gathers, *nodes], f"member.{place}", [], [_output(graph, _own(place, "images"))], tensors
    )


def _empty(place: int, graph: GraphProto) -> GraphProto:
    """No image, uint8 ``[0, H, W, C]``."""
    name, black = f"none.{place}", numpy_helper.from_array(np.zeros(1, np.uint8))
    node = helper.make_node("ConstantOfShape", ["nothing"], [name], value=black)
    return helper.make_graph([node], name, [], [_output(graph, name)])


def _put_back(rows: list[str], images: list[str]) -> list[NodeProto]:
    """The members' images, one member after the other, into the order of the batch: ``places[order[k]] = k``."""
    return [
        helper.make_node("Concat", rows, ["order"], axis=0),
        helper.make_node("Concat", images, ["by_member"], axis=0),
        helper.make_node("Size", ["order"], ["count"]),
        helper.make_node("Range", ["zero", "count", "one"], ["positions"]),
        helper.make_node("ScatterElements", ["order", "order", "positions"], ["places"], axis=0),
        helper.make_node("Gather", ["by_member", "places"], ["images"], axis=0),
    ]


def _of_one_opset(models: list[ModelProto]) -> list[ModelProto]:
    """Models of one opset: networks of several kinds may need different ones."""
    newest = max(model.opset_import[0].version for model in models)
    return [
        model if model.opset_import[0].version == newest else onnx.version_converter.convert_version(model, newest)
        for model in models
    ]


def _own(place: int, name: str) -> str:
    return f"member.{place}.{name}"


def _output(graph: GraphProto, name: str) -> onnx.ValueInfoProto:
    """The images of a branch; their number is known only at run time."""
    return helper.make_tensor_value_info(name, TensorProto.UINT8, [None, *_image_shape(graph)])


def _image_shape(graph: GraphProto) -> list[int]:
    return [size.dim_value for size in graph.output[0].type.tensor_type.shape.dim[1:]]


def _batch(graph: GraphProto) -> list[str]:
    return [graph.output[0].type.tensor_type.shape.dim[0].dim_param]
