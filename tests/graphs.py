"""Small generator files made by hand, right and wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from drawwell.addresses.latents import labels, members
from drawwell.files.card import MIXTURE_FORMAT, KnownAnswers, ModelCard, Parity, Training, total_of
from drawwell.files.generator_file import seal
from drawwell.files.quality import Measure, Quality
from drawwell_export.mixture import join

SHAPE = (2, 3, 1)
DIM = 4

QUALITY = Quality(
    extractor="a network",
    reference="10,000 images of data",
    floor="5,000 others",
    seed=7,
    measures={
        "kid": Measure(0.00432, 0.00002, 10_000, 0.00031),
        "recall": Measure(0.551, 0.79, 10_000),
        "gan_train_accuracy": Measure(0.812, 0.893, 60_000),
    },
    class_shares={"a": 0.75, "b": 0.25},
    remarks=("copying is not measured",),
)


def card(**changes: object) -> ModelCard:
    """A valid card of ``plain_model``; its known answers hold unless changed."""
    answers = np.full((1, *SHAPE), 7, np.uint8)
    values: dict[str, object] = {
        "name": "plain",
        "prior": "normal",
        "latent_dim": DIM,
        "height": SHAPE[0],
        "width": SHAPE[1],
        "channels": SHAPE[2],
        "target": "portable",
        "training": Training("nothing", "none", 0, 0, "0" * 64),
        "parity": Parity(0, (1,), 0.0, 0, 0, 0.0),
        "known_answers": KnownAnswers.of(0, (0,), answers, 0),
    }
    return ModelCard(**(values | changes))  # type: ignore[arg-type]


def plain_model(level: int = 7, domain: str = "") -> onnx.ModelProto:
    """Every image is ``level`` everywhere, computed from z so that the batch size follows."""
    zeros = numpy_helper.from_array(np.zeros((DIM, 6), np.float32), "zeros")
    bias = numpy_helper.from_array(np.full(6, level, np.float32), "bias")
    shape = numpy_helper.from_array(np.array([-1, *SHAPE]), "shape")
    nodes = [
        helper.make_node("Gemm", ["z", "zeros", "bias"], ["flat"], domain=domain),
        helper.make_node("Cast", ["flat"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Reshape", ["bytes", "shape"], ["images"]),
    ]
    return _model(nodes, [zeros, bias, shape], domain=domain)


def labelled_model(plus: int = 0) -> onnx.ModelProto:
    """Every image is its label, and ``plus`` more, everywhere."""
    ones = numpy_helper.from_array(np.ones((1, 6), np.int64), "ones")
    axes = numpy_helper.from_array(np.array([1]), "axes")
    shape = numpy_helper.from_array(np.array([-1, *SHAPE]), "shape")
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    more = numpy_helper.from_array(np.array([plus], np.float32), "more")
    nodes = [
        helper.make_node("Unsqueeze", ["label", "axes"], ["column"]),
        helper.make_node("Mul", ["column", "ones"], ["flat"]),
        helper.make_node("ReduceSum", ["z", "axes"], ["sums"]),
        helper.make_node("Mul", ["sums", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "more"], ["plus"]),
        helper.make_node("Cast", ["plus"], ["plus64"], to=TensorProto.INT64),
        helper.make_node("Add", ["flat", "plus64"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Reshape", ["bytes", "shape"], ["images"]),
    ]
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["N"])
    return _model(nodes, [ones, axes, shape, zero, more], [label])


def write_labelled(path: Path, *class_names: str) -> Path:
    """Seal ``labelled_model`` with a card of these classes."""
    label = labels(0, [0], len(class_names), DIM)[0]
    answers = KnownAnswers.of(0, (0,), np.full((1, *SHAPE), label, np.uint8), 0)
    return write(path, labelled_model(), card(class_names=class_names, known_answers=answers))


def write_mixture(path: Path, count: int, *class_names: str) -> Path:
    """Seal a mixture of ``count``: every image is 10 times its member's place everywhere, with classes its label more."""
    trainings = tuple(Training("nothing", "none", 10 * place, place, f"{place:064}") for place in range(count))
    member = int(members(0, [0], count, DIM)[0])
    label = int(labels(0, [0], len(class_names), DIM)[0]) if class_names else 0
    of = card(
        name="mixture",
        class_names=class_names,
        training=total_of(trainings),
        members=trainings,
        format_version=MIXTURE_FORMAT,
        known_answers=KnownAnswers.of(0, (0,), np.full((1, *SHAPE), 10 * member + label, np.uint8), 0),
    )
    one = labelled_model if class_names else plain_model
    return write(path, join([one(10 * place) for place in range(count)]), of)


def write(path: Path, model: onnx.ModelProto, of: ModelCard | None = None) -> Path:
    """Seal ``model`` with ``of``, by default the plain card."""
    path.write_bytes(seal(model, of or card()))
    return path


def _model(nodes: list[Any], tensors: list[Any], inputs: list[Any] | None = None, domain: str = "") -> onnx.ModelProto:
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", DIM])
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *SHAPE])
    graph = helper.make_graph(nodes, "graph", [z, *(inputs or [])], [images], tensors)
    opsets = [helper.make_opsetid("", 14)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)
