"""Small generator files made by hand, right and wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from drawwell.addresses.latents import labels, members
from drawwell.files.card import MIXTURE_FORMAT, KnownAnswers, ModelCard, Parity, Training, total_of
from drawwell.files.discriminator_card import (
    DiscriminatorCard,
    KnownLogits,
    LogitParity,
    LogitScale,
    known_labels,
    known_pictures,
)
from drawwell.files.discriminator_file import seal as seal_discriminator
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


def write_discriminator(path: Path, *class_names: str, **changes: object) -> Path:
    """Seal a discriminator whose logit is the mean level of a picture, with classes 1,000 times its label more.

    Its classes are levels at equal distances from 0 to 255: it names the nearest one.
    """
    known = np.array([[picture.mean()] for picture in known_pictures(SHAPE)])
    if class_names:
        weights, biases = _lines(len(class_names))
        scores = known * weights + biases
        labels = known_labels(len(class_names))
        assert labels is not None
        known = np.concatenate([known + 1000 * labels[:, None], scores], 1)
    values: dict[str, object] = {
        "name": "plain",
        "height": SHAPE[0],
        "width": SHAPE[1],
        "channels": SHAPE[2],
        "generator": "0" * 64,
        "training": Training("nothing", "none", 0, 0, "0" * 64),
        "loss": "non-saturating",
        "real_target": 1.0,
        "parity": LogitParity(10, (1,), 0.0),
        "known_logits": KnownLogits(tuple(map(tuple, known.tolist())), 1e-3),
        "scale": LogitScale.of(
            np.linspace(100, 200, 300, dtype=np.float32), np.linspace(0, 100, 200, dtype=np.float32)
        ),
        "class_names": class_names,
        "named_class_scale": LogitScale.of(np.array([100, 3000], np.float32), np.array([0, 2000], np.float32))
        if class_names
        else None,
        "class_accuracy": 0.75 if class_names else None,
    }
    card = DiscriminatorCard(**(values | changes))  # type: ignore[arg-type]
    path.write_bytes(seal_discriminator(_discriminator(len(class_names)), card))
    return path


def _lines(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Tangents of a parabola, one for each class: the one of the nearest level is the highest."""
    levels = np.linspace(0, 255, classes)
    return 2 * levels, -(levels**2)


def _discriminator(classes: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["levels"], ["mean"], axes=[1, 2, 3], keepdims=0),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *SHAPE])
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["N"])
    if not classes:
        graph = helper.make_graph(
            [*nodes, helper.make_node("Identity", ["mean"], ["logit"])], "graph", [images], [logit]
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    weights, biases = _lines(classes)
    tensors = [
        numpy_helper.from_array(value, name)
        for name, value in {
            "axis": np.array([1]),
            "weights": weights.astype(np.float32),
            "biases": biases.astype(np.float32),
            "zero": np.array(0),
            "thousand": np.array(1000, np.float32),
        }.items()
    ]
    nodes += [
        helper.make_node("Unsqueeze", ["mean", "axis"], ["column"]),
        helper.make_node("Mul", ["column", "weights"], ["products"]),
        helper.make_node("Add", ["products", "biases"], ["class_scores"]),
        helper.make_node("ArgMax", ["class_scores"], ["named"], axis=1, keepdims=0),
        helper.make_node("Less", ["label", "zero"], ["is_open"]),
        helper.make_node("Where", ["is_open", "named", "label"], ["chosen"]),
        helper.make_node("Cast", ["chosen"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["number", "thousand"], ["more"]),
        helper.make_node("Add", ["mean", "more"], ["logit"]),
    ]
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["N"])
    scores = helper.make_tensor_value_info("class_scores", TensorProto.FLOAT, ["N", classes])
    graph = helper.make_graph(nodes, "graph", [images, label], [logit, scores], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


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
