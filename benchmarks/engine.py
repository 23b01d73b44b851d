"""Images a second of the engine, beside the plain export of the same weights.

Plain is what everybody else runs: ``torch.onnx.export`` of the generator as it is, float pixels, a default
``InferenceSession`` on all cores, latents made beforehand. The engine makes its latents from addresses each time and gives
uint8. Each contender has a process of its own (see ``race``).
"""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast, get_args

import onnx
import onnxruntime
import torch

from benchmarks import kernels, png, table
from benchmarks.race import Make, race
from benchmarks.report import seconds, spread, write
from drawwell.addresses.latents import latents
from drawwell.engine.engine import Engine
from drawwell.files.card import Target
from drawwell.files.generator_file import read_generator
from drawwell.image_request import Feeds
from drawwell.opening import find_file
from drawwell_export import graph
from drawwell_export.main import export
from drawwell_export.parity import feeds
from drawwell_train.config import TrainConfig
from drawwell_train.networks.base import GeneratorNetwork
from drawwell_train.options import TrainOptions, resolved
from drawwell_train.run import checkpoint
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.step import state

BATCHES = (1, 16, 64)
TARGETS: tuple[Target, ...] = get_args(Target)
PIECES = (4, 8, 16, 32, 64)
BUNDLED, BUNDLED_RUN = "fashion", Path("runs/results/fashion")


def main() -> None:
    checkpoints = {"dcgan64": random(64), "small": random(32)}
    if BUNDLED_RUN.is_dir():  # the run of the bundled generator, where it was trained
        step = read_generator(find_file(BUNDLED)).card.training.steps
        checkpoints[BUNDLED] = checkpoint.find(BUNDLED_RUN, step)[0]
    else:
        print(f"{BUNDLED_RUN} is not here: the bundled weights, which a plain export needs, are left out")
    rates = kernels.measure()
    models = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, trained in checkpoints.items():
            models[name] = measure(trained, Path(folder) / name, rates)
    write("engine-cpu", {"kernels": rates, "models": models, "latents_microseconds": latents_microseconds()})
    table.update()


def random(size: int) -> Checkpoint:
    """A DCGAN of width 64 in colour whose batch norms have seen some batches: 64 px is 512, 256, 128, 64, 3 channels."""
    config = resolved(TrainOptions("random", size=size, channels=3))  # type: ignore[arg-type]
    built = state.build(config, torch.device("cpu"))
    for _ in range(20):
        built.generator(torch.randn(64, config.latent_dim))
    built.ema.load_state_dict(built.generator.state_dict())
    return Checkpoint(1, config, state.to_tensors(built))


def measure(trained: Checkpoint, folder: Path, rates: dict[str, dict[str, float]]) -> dict[str, Any]:
    folder.mkdir()
    generator = state.load_ema(trained.config, trained.tensors)
    inputs = graph.inputs_of(generator, trained.config.latent_dim)
    onnx.save(graph.trace(generator, inputs, ["images"]), folder / "plain.onnx")
    engines = {target: export(trained, folder / f"{target}.onnx", target) for target in TARGETS}
    races = {str(batch): race(contenders(folder, batch, trained.config), batch) for batch in BATCHES}
    for batch, by in races.items():
        print(folder.name, batch, {name: round(statistics.median(seen)) for name, seen in by.items()}, flush=True)
    operations = 2 * multiply_adds(generator, trained.config.latent_dim)
    return {
        "images_a_second": {batch: {name: spread(seen) for name, seen in by.items()} for batch, by in races.items()},
        "against_plain": {
            batch: {
                name: spread([one / plain for one, plain in zip(seen, by["plain"], strict=True)])
                for name, seen in by.items()
            }
            for batch, by in races.items()
        },
        "one_thread_by_piece": {
            target: {
                piece: spread(seen) for piece, seen in race(pieces(folder / f"{target}.onnx"), max(PIECES)).items()
            }
            for target in ("cpu", "cpu-int8")
        },
        "operations_an_image": operations,
        "share_of_best_kernel": {
            target: max(statistics.median(by[target]) for by in races.values()) * operations / rates[kind]["median"]
            for target, kind in (("cpu", "float32"), ("cpu-int8", "int8"))
        },
        "levels_from_torch": {target: asdict(engine.card.parity) for target, engine in engines.items()},
        "png": png.measure(engines["cpu"], engines["cpu-int8"]),
    }


def contenders(folder: Path, batch: int, config: TrainConfig) -> dict[str, Make]:
    found: dict[str, Make] = {"plain": (run_plain, (folder / "plain.onnx", feeds(config, range(batch))))}
    found |= {target: (run_engine, (folder / f"{target}.onnx", batch)) for target in TARGETS}
    if batch == 1:  # where making latents is a good part of the whole
        found["cpu, latents given"] = (run_engine_from_latents, (folder / "cpu.onnx", batch))
    return found


def run_plain(file: Path, inputs: Feeds) -> Callable[[], Any]:
    session = onnxruntime.InferenceSession(file)
    return lambda: session.run(None, inputs)


def run_engine(file: Path, batch: int) -> Callable[[], Any]:
    engine = Engine(file, "cpu")
    return lambda: engine.generate(7, batch)


def pieces(file: Path) -> dict[str, Make]:
    """The same images on one thread, so many in one run."""
    return {str(piece): (run_pieces, (file, piece)) for piece in PIECES}


def run_pieces(file: Path, piece: int) -> Callable[[], Any]:
    engine = Engine(file, "cpu", threads=1)
    backend, inputs = engine._backend, engine.feeds(7, range(piece))
    assert backend is not None, "it is open"
    return lambda: [backend.run(inputs, False) for _ in range(max(PIECES) // piece)]


def run_engine_from_latents(file: Path, batch: int) -> Callable[[], Any]:
    engine = Engine(file, "cpu")
    backend, inputs = engine._backend, engine.feeds(7, range(batch))
    assert backend is not None, "it is open"
    return lambda: backend.run(inputs, True)


def multiply_adds(generator: GeneratorNetwork, latent_dim: int) -> int:
    """Of all transposed convolutions for one image: every input pixel meets every weight."""
    total = 0

    def count(layer: torch.nn.Module, inputs: tuple[torch.Tensor], _: torch.Tensor) -> None:
        nonlocal total
        total += cast(torch.nn.ConvTranspose2d, layer).weight.numel() * inputs[0].shape[2] * inputs[0].shape[3]

    layers = [layer for layer in generator.modules() if isinstance(layer, torch.nn.ConvTranspose2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    generator(torch.zeros(1, latent_dim), torch.zeros(1, dtype=torch.int64))
    for hook in hooks:
        hook.remove()
    return total


def latents_microseconds() -> dict[str, float]:
    return spread([seconds(lambda: latents(7, range(1000, 1064), 100), 500) / 64 * 1e6 for _ in range(9)])


if __name__ == "__main__":
    main()
