"""CUDA: is it really used, are its bytes stable, how far are they from the processor's, and how fast is it?

Beside it are the plain export in a default CUDA session (which multiplies in TF32), and ``torch.compile`` of the same generator in float16,
which gives uint8 on the host as the engine does. ``--device cpu`` rehearses the code where there is no device; its
figures mean nothing. The file is written after each figure.
"""

import argparse
import copy
import functools
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from benchmarks.engine import multiply_adds, random
from benchmarks.report import Report, interleaved, seconds
from drawwell.addresses.latents import latents
from drawwell.engine.backends import Backend, CudaBackend
from drawwell.engine.engine import Engine
from drawwell.engine.onnx_session import Provider, open_cpu, open_cuda
from drawwell.files.generator_file import read_generator
from drawwell_export import graph
from drawwell_export.main import export
from drawwell_train.networks.base import GeneratorNetwork, to_pixels
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.step import state

ADDRESSES, ROUNDS, SHORT_ROUNDS = 1024, 7, 3
VARIANTS: dict[str, dict[str, str]] = {
    "cuda": {},
    "cuda, graph": {"enable_cuda_graph": "1"},
    "cuda, channels last": {"prefer_nhwc": "1"},
}
COMPILED = "torch.compile float16"
SIZES = {False: [64, 32], True: [64]}
BATCHES = {False: [1, 16, 64, 256, 1024, 4096], True: [1, 256]}
"""Long, and short."""


def main() -> None:
    options = arguments()
    onnxruntime.preload_dlls()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here")
    sizes, batches = options.sizes or SIZES[options.short], options.batches or BATCHES[options.short]
    name = torch.cuda.get_device_name().replace(" ", "-") if options.device == "cuda" else "rehearsal"
    report = Report(f"engine-{name}", expected(sizes, batches), options.device, options.short)
    report.add("a_second", figure=limits_of(options.device))
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            (at := Path(folder) / str(size)).mkdir()
            measure(random(size), at, options.device, batches, report)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--sizes", type=int, nargs="+", help=f"by default {SIZES[False]}; short: {SIZES[True]}")
    parser.add_argument("--batches", type=int, nargs="+", help=f"by default {BATCHES[False]}; short: {BATCHES[True]}")
    parser.add_argument(
        "--short", action="store_true", help="fewer rounds, and torch.compile of the largest batch alone: a minute"
    )
    return parser.parse_args()


def expected(sizes: list[int], batches: list[int]) -> Iterator[tuple[str, ...]]:
    yield ("a_second",)
    for size in map(str, sizes):
        yield "models", size, "checks"
        yield from (("models", size, "images_a_second", str(batch)) for batch in batches)
        yield "models", size, "limit_images_a_second"
        yield "models", size, "share_of_the_limit"


def limits_of(device: str) -> dict[str, float]:
    return {"operations": operations_a_second(device), "host_bytes": host_bytes_a_second(device)}


def measure(trained: Checkpoint, folder: Path, device: Provider, batches: list[int], report: Report) -> None:
    """One generator: what is promised first, then every batch."""
    size, short = str(trained.config.size), report.measured["short"]
    generator = state.load_ema(trained.config, trained.tensors)
    inputs = graph.inputs_of(generator, trained.config.latent_dim)
    onnx.save(graph.trace(generator, inputs, ["images"]), folder / "plain.onnx")
    for target in ("cpu", "cuda"):
        export(trained, folder / f"{target}.onnx", target).close()
    report.add("models", size, "checks", figure=checks(folder, device))
    best = 0.0
    for batch in batches:
        made = runs(generator, folder, device, batch)
        if short and batch != max(batches):
            del made[COMPILED]  # which takes longer than all others together
        rates = rates_of(made, batch, SHORT_ROUNDS if short else ROUNDS)
        print(size, batch, {name: round(rate) for name, rate in rates.items()}, flush=True)
        report.add("models", size, "images_a_second", str(batch), figure=rates)
        best = max(best, *(rate for name, rate in rates.items() if name.startswith("cuda")))
    limit = limit_of(generator, report.measured["a_second"], int(size))
    report.add("models", size, "limit_images_a_second", figure=limit)
    report.add("models", size, "share_of_the_limit", figure=best / limit)


def rates_of(made: Mapping[str, Callable[[], Callable[[], Any]]], batch: int, rounds: int) -> dict[str, float]:
    """Images a second, of the median round."""
    cases = {name: functools.partial(seconds, make(), 10) for name, make in made.items()}
    return {name: batch / value["median"] for name, value in interleaved(cases, rounds).items()}


def limit_of(generator: GeneratorNetwork, a_second: Mapping[str, float], size: int) -> float:
    """Images a second that neither the tensor cores nor the way to the host would allow to be passed."""
    operations, image_bytes = 2 * multiply_adds(generator, 100), 3 * size**2
    return min(a_second["operations"] / operations, a_second["host_bytes"] / image_bytes)


def checks(folder: Path, device: Provider) -> dict[str, Any]:
    """What is promised: the provider in use, bytes over batch sizes, and levels from the processor's float32."""
    engine, exact = Engine(folder / "cuda.onnx", device), Engine(folder / "cpu.onnx", "cpu")
    drawn = engine.generate(7, ADDRESSES).images
    same = [np.array_equal(engine.generate(7, count).images, drawn[:count]) for count in (1, 7, 64, 256, 300)]
    distance = np.abs(drawn.astype(np.int16) - exact.generate(7, ADDRESSES).images)
    return {
        "provider": engine.provider,
        "batch": engine.piece_images,
        "same_bytes_in_every_batch": all(same),
        "levels_from_processor": {"mean": float(distance.mean()), "max": int(distance.max()), "n": ADDRESSES},
    }


def runs(
    generator: GeneratorNetwork, folder: Path, device: Provider, batch: int
) -> dict[str, Callable[[], Callable[[], Any]]]:
    z = latents(7, range(batch), 100)
    made: dict[str, Callable[[], Callable[[], Any]]] = {
        "plain, TF32": lambda: run_plain(folder / "plain.onnx", device, z),
        COMPILED: lambda: run_compiled(generator, device, z),
        "engine": lambda: functools.partial(Engine(folder / "cuda.onnx", device).generate, 7, batch),
    }
    for name, options in VARIANTS.items() if device == "cuda" else [("cuda", {})]:
        made[name] = functools.partial(run_backend, folder / "cuda.onnx", device, options, z)
    return made


def run_plain(file: Path, device: Provider, z: np.ndarray) -> Callable[[], Any]:
    session = onnxruntime.InferenceSession(file, providers=[f"{device.upper()}ExecutionProvider"])
    if session.get_providers()[0] != f"{device.upper()}ExecutionProvider":
        raise SystemExit("CUDA cannot be had here")
    return lambda: session.run(None, {"z": z})


def run_backend(file: Path, device: Provider, options: dict[str, str], z: np.ndarray) -> Callable[[], Any]:
    """One run of exactly this shape."""
    content = read_generator(file)
    session = open_cpu(content, 1) if device == "cpu" else open_cuda(content, device, options)
    assert session is not None, "cuda was insisted on"
    backend: Backend = CudaBackend(session, content.card, len(z), device)
    return lambda: backend.run({"z": z}, False)


def run_compiled(generator: GeneratorNetwork, device: Provider, z: np.ndarray) -> Callable[[], Any]:
    half = copy.deepcopy(generator).to(device, torch.float16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.compiler.reset()  # else it goes over to shapes of any size at the second batch
    compiled = torch.compile(lambda latent: to_pixels(half(latent).float()), mode="reduce-overhead", dynamic=False)

    @torch.no_grad()
    def run() -> np.ndarray:
        pixels: np.ndarray = compiled(torch.from_numpy(z).to(device, torch.float16)).cpu().numpy()
        return pixels

    return run


def operations_a_second(device: str, side: int = 8192) -> float:
    """The best rate of the tensor cores: a float16 product of two large squares."""
    side = side if device == "cuda" else 512
    a, b = (torch.randn(side, side, device=device, dtype=torch.float16) for _ in range(2))
    return 2 * side**3 / _median_seconds(lambda: a @ b, device)


def host_bytes_a_second(device: str, size: int = 2**28) -> float:
    """From the device to pinned memory of the host."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    drain = torch.zeros(size, dtype=torch.uint8, pin_memory=device == "cuda")
    return size / _median_seconds(lambda: drain.copy_(source, non_blocking=True), device)


def _median_seconds(call: Callable[[], Any], device: str) -> float:
    def finished() -> None:
        call()
        if device == "cuda":
            torch.cuda.synchronize()

    def timed() -> float:
        return seconds(finished, 10)

    timed()
    return statistics.median(timed() for _ in range(ROUNDS))


if __name__ == "__main__":
    main()
