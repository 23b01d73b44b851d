"""The directions of the latents that change a generator's images most.

They are SeFa's: Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs" (2021), section 3. The first layer of a
generator, its stem, computes ``A z + b``. A step ``n`` of length 1 changes that by ``A n``, whose length is greatest for the
eigenvectors of ``A^T A`` with the largest eigenvalues. They are computed from the weights in the graph, so every file has them
and no card repeats them. A batch norm that the export folded into the stem counts as part of ``A``.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from drawwell.files.generator_file import GeneratorFile
from drawwell.files.sealed_file import parse

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Directions = npt.NDArray[np.float32]
"""float32 ``[n, D]``, each row of length 1, the strongest first. ``n`` is 0 if a generator has none."""

_COUNT = 8
_MOST_LATENTS = 1024
"""Eigenvectors take the cube of this in time. The GANs of the literature have at most 512."""

_PASSING = {"Cast", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Unsqueeze"}
"""Operators that keep ``z`` as the first inputs of the stem: a label's embedding is joined behind it."""


def directions_of(file: GeneratorFile) -> tuple[Directions, ...]:
    """Return the directions of the generator in ``file``, or of each generator of a mixture, in order.

    A generator whose first layer is neither a matrix product nor a transposed convolution has none.
    """
    stems = (_stem(graph) for graph in _generators(parse(file.content, "generator").graph))
    return tuple(_strongest(stem, file.card.latent_dim) for stem in stems)


def _generators(graph: "GraphProto") -> Iterator["GraphProto"]:
    """The graphs of a mixture's generators, each in a branch of its own; a plain file is one."""
    branches = [part.g for node in graph.node for part in node.attribute if part.name == "then_branch"]
    yield from branches or [graph]


def _stem(graph: "GraphProto") -> npt.NDArray[np.floating] | None:
    """The weights ``[inputs, outputs]`` of the first layer behind ``z``."""
    names = {"z"}
    for node in graph.node:
        if not names & set(node.input):
            continue
        if node.input[0] not in names or node.op_type not in _PASSING:
            return _weights(graph, node)
        names |= set(node.output)
    return None


def _weights(graph: "GraphProto", node: "NodeProto") -> npt.NDArray[np.floating] | None:
    from onnx import numpy_helper

    tensors = [tensor for tensor in graph.initializer if tensor.name in node.input[1:2]]
    if node.op_type not in _MATRICES or not tensors:
        return None
    return _MATRICES[node.op_type](numpy_helper.to_array(tensors[0]), node)


def _of_gemm(weight: npt.NDArray[np.floating], node: "NodeProto") -> npt.NDArray[np.floating]:
    is_transposed = any(part.name == "transB" and part.i for part in node.attribute)
    return weight.T if is_transposed else weight


_MATRICES: dict[str, Callable[[npt.NDArray[np.floating], "NodeProto"], npt.NDArray[np.floating]]] = {
    "Gemm": _of_gemm,
    "MatMul": lambda weight, _: weight,
    "ConvTranspose": lambda weight, _: weight.reshape(len(weight), -1),  # of [inputs, channels, height, width]
}


def _strongest(stem: npt.NDArray[np.floating] | None, dim: int) -> Directions:
    none = np.empty((0, dim), np.float32)
    if stem is None or stem.ndim != 2 or len(stem) < dim or dim > _MOST_LATENTS:
        return none
    transposed = stem[:dim].astype(np.float32)  # A^T; behind z are the columns of the label
    square = (transposed @ transposed.T).astype(np.float64)  # [D, D]
    if not np.isfinite(square).all() or not square.any():
        return none
    strongest = np.linalg.eigh(square).eigenvectors.T[::-1][:_COUNT]
    # both signs are right: the greatest number of each is positive, so that a direction is the same everywhere
    greatest = np.take_along_axis(strongest, np.abs(strongest).argmax(1)[:, None], 1)
    directions: Directions = (strongest * np.sign(greatest)).astype(np.float32)
    return directions
