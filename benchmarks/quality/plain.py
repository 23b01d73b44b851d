"""KID after the same time: `drawwell train` beside the plain loop of `make bench-train`, at once, a process of one thread each.

The time of both begins with the start of the processes, so imports and reading count. The plain generator is the last one,
drawn as the official example draws it, with batch norm's statistics of each batch, and also with those of training; the
better counts.
"""

import argparse
import functools
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality import results
from benchmarks.quality.experiments import RUNS, find
from benchmarks.quality.measuring import extractor
from benchmarks.train import BATCH, PlainLoop, configured
from drawwell.errors import DrawwellError
from drawwell.generator import Images
from drawwell_train.data import dataset as data
from drawwell_train.evaluation.extractors import Features
from drawwell_train.evaluation.kid import kid
from drawwell_train.evaluation.source import open_source
from drawwell_train.networks.networks import to_pixels

SEEDS, SECONDS = 3, 180
_DATA, _IMAGES = "fashion-mnist.npz", 5000
_FOLDER = RUNS / "plain"


def carry_out(root: Path, deadline: float) -> None:
    """Race each seed that has no result yet, while there is time."""
    for seed in range(SEEDS):
        name = f"plain-seed{seed}"
        if results.read(name) is None and time.monotonic() + SECONDS < deadline:
            results.write(name, race(root, seed))


def race(root: Path, seed: int) -> results.Entry:
    """Both for ``SECONDS``, then the KID of 5,000 images of each to as many of the training images."""
    run, drawn = _FOLDER / f"drawwell-seed{seed}", _FOLDER / f"plain-seed{seed}.npz"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    path = str(find(root, _DATA))
    options = f"--steps 1000000 --threads 1 --seed {seed} --kid-every 0"
    ours = ["drawwell", "train", path, "--out", str(run), *options.split()]
    shutil.rmtree(run, ignore_errors=True)  # one that was cut off would have more time
    begin = time.time()
    theirs = ["benchmarks.quality.plain", path, str(drawn), str(seed), str(begin)]
    with (_FOLDER / f"seed{seed}.log").open("wb") as log:
        both = [
            subprocess.Popen([sys.executable, "-m", *command], stdout=log, stderr=log) for command in (ours, theirs)
        ]
        time.sleep(max(0.0, begin + SECONDS - time.time()))
        both[0].send_signal(signal.SIGTERM)
        codes = [one.wait() for one in both]
    if codes != [130, 0]:
        raise DrawwellError(f"{_FOLDER}/seed{seed}.log: exit codes {codes}")
    source = open_source(str(run))
    assert source.checkpoint is not None, "a run folder was opened"
    compared, floor = _real(path)
    with np.load(drawn) as arrays:
        plain = {name: kid(compared, extractor()(arrays[name])) for name in ("as_the_example", "as_evaluated")}
        plain_steps = int(arrays["steps"])
    drawwell = kid(compared, extractor()(source.draw(0, range(_IMAGES), None)))
    return {
        "seed": seed,
        "seconds": SECONDS,
        "images": _IMAGES,
        "extractor": extractor().name,
        "real": kid(compared, floor)[0],
        "plain": {name: {"kid": value, "spread": spread} for name, (value, spread) in plain.items()},
        "plain_images_seen": plain_steps * BATCH,
        "drawwell": {"kid": drawwell[0], "spread": drawwell[1]},
        "drawwell_images_seen": source.checkpoint.step * BATCH,
        "ratio": drawwell[0] / min(value for value, _ in plain.values()),
        "command": f"drawwell train {_DATA} {options}",
    }


@functools.cache
def _real(path: str) -> tuple[Features, Features]:
    """Features of training images, and of as many others."""
    images = data.load(path).images
    chosen = np.random.default_rng(0).permutation(len(images))[: 2 * _IMAGES]
    return extractor()(images[chosen[:_IMAGES]]), extractor()(images[chosen[_IMAGES:]])


def main() -> None:
    """The plain loop's process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("drawn", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("begin", type=float)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    loop = PlainLoop(configured("dcgan", 28, 1, "cpu"), data.load(options.data))
    steps = 0
    while time.time() < options.begin + SECONDS:
        loop.step()
        steps += 1
    evaluated = _draw(loop, evaluated=True)  # before the other, which moves the statistics
    np.savez(options.drawn, steps=steps, as_evaluated=evaluated, as_the_example=_draw(loop))


@torch.no_grad()
def _draw(loop: PlainLoop, evaluated: bool = False) -> Images:
    loop.g.train(not evaluated)
    batches = [to_pixels(loop.g(torch.randn(BATCH, loop.latent_dim))).numpy() for _ in range(-(-_IMAGES // BATCH))]
    images: Images = np.concatenate(batches)[:_IMAGES]
    return images


if __name__ == "__main__":
    main()
