"""The directions of a generator file: what they are, whatever form the stem has in its graph."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from drawwell.files.directions import directions_of
from drawwell.files.generator_file import GeneratorFile, read_generator
from drawwell.opening import bundled, find_file
from tests import graphs

OUTPUTS, LABEL = 12, 3
RANDOM = np.random.default_rng(7)
WEIGHT = RANDOM.normal(size=(graphs.DIM + LABEL, OUTPUTS)).astype(np.float32)  # [inputs, outputs], z before the label


def of_stem(*nodes: Any, **tensors: np.ndarray) -> GeneratorFile:
    """A file whose graph begins with these nodes; none of the others is read."""
    given = [numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()]
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", graphs.DIM])
    graph = helper.make_graph([*nodes], "graph", [z], [], given)
    return GeneratorFile(helper.make_model(graph).SerializeToString(), "", graphs.card())


def joined(name: str) -> Any:
    return helper.make_node("Concat", ["z", "embedding"], [name], axis=1)


GEMM = of_stem(joined("both"), helper.make_node("Gemm", ["both", "w"], ["y"], transB=1), w=WEIGHT.T)
FORMS = {
    "a product with the transposed weights": GEMM,
    "a product": of_stem(joined("both"), helper.make_node("MatMul", ["both", "w"], ["y"]), w=WEIGHT),
    "a transposed convolution": of_stem(
        joined("both"),
        helper.make_node("Reshape", ["both", "shape"], ["pixel"]),
        helper.make_node("ConvTranspose", ["pixel", "w"], ["y"]),
        w=WEIGHT.reshape(-1, 3, 2, 2),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_they_are_the_singular_vectors_of_the_weights_behind_the_latents(form: str) -> None:
    (directions,) = directions_of(FORMS[form])
    assert directions.shape == (graphs.DIM, graphs.DIM) and directions.dtype == np.float32
    singular = np.linalg.svd(WEIGHT[: graphs.DIM].T.astype(float)).Vh
    np.testing.assert_allclose(np.abs(np.sum(directions * singular, 1)), 1, atol=1e-5)


def test_the_first_one_changes_the_layer_more_than_any_other_step_of_its_length() -> None:
    (directions,) = directions_of(GEMM)
    steps = RANDOM.normal(size=(2000, graphs.DIM))
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    changes = np.linalg.norm(directions @ WEIGHT[: graphs.DIM], axis=1)
    assert changes[0] > np.linalg.norm(steps @ WEIGHT[: graphs.DIM], axis=1).max()
    assert (np.diff(changes) < 0).all(), "the strongest first"


def test_the_greatest_number_of_each_is_positive() -> None:
    for file in (GEMM, of_stem(helper.make_node("MatMul", ["z", "w"], ["y"]), w=-WEIGHT[: graphs.DIM])):
        (directions,) = directions_of(file)
        assert (np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1) > 0).all()


MATMUL = helper.make_node("MatMul", ["z", "w"], ["y"])


@pytest.mark.parametrize(
    "file",
    [
        of_stem(helper.make_node("ReduceSum", ["z"], ["y"])),
        of_stem(helper.make_node("MatMul", ["w", "z"], ["y"]), w=WEIGHT),
        of_stem(MATMUL),
        of_stem(MATMUL, w=WEIGHT[: graphs.DIM - 1]),
        of_stem(MATMUL, w=np.zeros_like(WEIGHT)),
        of_stem(MATMUL, w=np.full_like(WEIGHT, np.nan)),
        of_stem(),
    ],
    ids=["no product", "z comes second", "computed weights", "too few weights", "nothing", "nan", "z is not used"],
)
def test_another_first_layer_has_none(file: GeneratorFile) -> None:
    (directions,) = directions_of(file)
    assert directions.shape == (0, graphs.DIM)


@pytest.mark.parametrize("name", bundled())
def test_every_bundled_generator_has_eight(name: str) -> None:
    file = read_generator(find_file(name))
    several = directions_of(file)
    assert len(several) == file.card.generators
    for directions in several:
        assert directions.shape == (8, file.card.latent_dim)
        np.testing.assert_allclose(directions @ directions.T, np.eye(8), atol=1e-5)


def test_float16_weights() -> None:
    half = of_stem(
        helper.make_node("Cast", ["z"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("MatMul", ["half", "w"], ["y"]),
        w=WEIGHT[: graphs.DIM].astype(np.float16),
    )
    np.testing.assert_allclose(directions_of(half)[0], directions_of(GEMM)[0], atol=0.02)
