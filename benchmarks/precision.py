"""How far apart two machines, or two versions, draw the same addresses.

On the one: ``python -m benchmarks.precision save drawn.npz``. On the other, or under an emulated processor
(``qemu-x86_64 -cpu Haswell .venv/bin/python -m benchmarks.precision compare drawn.npz --name "AVX2, emulated" --only latents
fashion fashion-int8``), the same addresses are drawn and compared, and the result goes into ``results/precision.json`` under
that name, and into the table of docs/reports/precision.md.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

import drawwell
from benchmarks.precision_page import REORDERED, RESULT, digests, update
from drawwell.addresses.latents import latents
from drawwell.engine.engine import Engine
from drawwell.engine.onnx_session import session_options
from drawwell.errors import ProviderError
from drawwell.opening import bundled, find_file
from drawwell_export.parity import batches

SEED, ADDRESSES = 7, 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["save", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--name", help="the difference from the machine that saved, in words")
    parser.add_argument(
        "--only", nargs="+", choices=drawn_names(), default=drawn_names(), help="draw only these: an emulator is slow"
    )
    options = parser.parse_args()
    if options.what == "save":
        arrays: dict[str, Any] = {name: draw(name) for name in drawn_names()}
        np.savez(options.file, versions=versions(), **arrays)
        redrawn = {name: draw(name) if name == "latents" else draw_reordered(name) for name in drawn_names()}
        reordered = {name: distance(images, arrays[name]) for name, images in redrawn.items()}
        record(REORDERED, {"levels": reordered})
        return
    with np.load(options.file) as saved:
        found = {name: compared(name, saved[name]) for name in options.only}
        record(options.name, {"against": str(saved["versions"]), "levels": found})


def drawn_names() -> list[str]:
    return ["latents", *bundled()]


def draw(name: str) -> np.ndarray:
    if name == "latents":
        return latents(SEED, range(ADDRESSES), 100)
    return drawwell.open(name, provider="cpu", threads=1).generate(SEED, ADDRESSES).images


def compared(name: str, saved: np.ndarray) -> dict[str, Any]:
    try:
        return distance(draw(name), saved)
    except ProviderError as error:
        return {"refused": str(error).split(": ", 1)[1]}


def distance(drawn: np.ndarray, saved: np.ndarray) -> dict[str, Any]:
    off = np.abs(drawn.astype(np.float64) - saved)
    images = np.count_nonzero(off.reshape(len(off), -1).max(1)) / len(off)
    return {
        "max": off.max(),
        "differing_share": np.count_nonzero(off) / off.size,
        "differing_images": images,
        "n": off.size,
    }


def draw_reordered(name: str) -> np.ndarray:
    """Draw with the columns of z and of the first layer's weights permuted, as a kernel that adds in another order."""
    engine, model = Engine(find_file(name), "cpu", threads=1), onnx.load(find_file(name))
    order = np.random.default_rng(0).permutation(engine.card.latent_dim)
    for graph in graphs_of(model.graph):
        reorder(graph, order)
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options(1))
    inputs = engine.feeds(SEED, range(ADDRESSES))
    inputs["z"] = inputs["z"][:, order]
    return np.concatenate([session.run(["images"], batch)[0] for batch in batches(inputs, 16)])


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield the graph and those inside its nodes: the generators of a mixture."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)


def reorder(graph: onnx.GraphProto, order: np.ndarray) -> None:
    """Permute the columns of the first layer's weights, if it is in this graph."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    stem = next((node for node in graph.node if node.op_type == "Gemm" and node.input[1] in weights), None)
    if stem is None:
        return
    tensor = weights[stem.input[1]]
    axis = int(any(attribute.name == "transB" and attribute.i for attribute in stem.attribute))
    weight = numpy_helper.to_array(tensor)
    columns = np.concatenate([order, np.arange(len(order), weight.shape[axis])])  # those of the label's embedding stay
    tensor.CopyFrom(numpy_helper.from_array(np.take(weight, columns, axis), tensor.name))


def versions() -> str:
    return f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, drawwell {drawwell.__version__}"


def record(name: str, measured: dict[str, Any]) -> None:
    entry = {name: {"here": versions(), "digests": digests(), **measured}}
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps(known | entry, indent=2) + "\n")
    update()
    print(json.dumps(entry, indent=2))


if __name__ == "__main__":
    main()
