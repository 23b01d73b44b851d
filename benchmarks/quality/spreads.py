"""What another spread of the latents does to the use in training: ``python -m benchmarks.quality.spreads --data DATA`` writes a table.

Classifiers see a fifth of the images of ``drawwell evaluate --spreads``, so that five factors take minutes. ``--page`` only writes the
table again.
"""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import report
from benchmarks.pages import REPORTS, replace_section
from benchmarks.quality.experiments import find, prepare
from benchmarks.quality.measuring import extractor
from drawwell.files.quality import Measure
from drawwell_train.evaluation.gan_train import gan_train_fresh, real_classifiers
from drawwell_train.evaluation.reference import Sources, read_reference
from drawwell_train.evaluation.source import open_source

NAME = "spreads"
PAGE = REPORTS / "quality.md"
FACTORS = 0.7, 0.85, 1.0, 1.2, 1.4
_CLASSIFIER_IMAGES, _SEED = 60_000, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder with the data sets of make results")
    parser.add_argument("--generator", default="fashion-mixture")
    parser.add_argument("--page", action="store_true", help="only write the table again")
    options = parser.parse_args()
    if options.data is None and not options.page:
        parser.error("give --data, or --page")
    if not options.page:
        torch.set_num_threads(1)
        prepare(options.data)
        report.write(NAME, measure(options.generator, options.data))
    found = json.loads((report.RESULTS / f"{NAME}.json").read_text())
    replace_section(PAGE, NAME, f"benchmarks/results/{NAME}.json", table(found))


def measure(generator: str, root: Path) -> dict[str, Any]:
    """GAN-train from fresh images at each factor; the addresses are the same."""
    source = open_source(generator, threads=1)
    assert source.at_spread is not None, "a file was opened"
    sources = Sources(str(find(root, "fashion-mnist.npz")), str(find(root, "fashion-mnist-test.npz")))
    reference = read_reference(sources, source, extractor())
    reference = dataclasses.replace(reference, classifier_images=_CLASSIFIER_IMAGES)
    real, found = real_classifiers(reference, print), dict[str, Measure]()
    for factor in FACTORS:
        print(f"latents multiplied by {factor:g}", flush=True)
        part = gan_train_fresh(source.at_spread(factor), reference, real, _SEED, print)
        found[f"{factor:g}"] = part.measures["gan_train_fresh"]
    command = f"python -m benchmarks.quality.spreads --data DATA --generator {generator}"
    return {
        "command": command,
        "generator": generator,
        "gan_train_fresh": {name: vars(one) for name, one in found.items()},
    }


def table(found: Mapping[str, Any]) -> str:
    """A row for each factor; below it the real images' score and the command."""
    rows = found["gan_train_fresh"]
    lines = [f"| {name} | {_figure(row['value'], row['spread'])} |" for name, row in rows.items()]
    real = next(iter(rows.values()))
    return "\n".join(
        [
            "| factor of the latents | GAN-train (fresh images) |",
            "|---|---|",
            *lines,
            f"| real images | {_figure(real['real'], real['real_spread'])} |",
            "",
            f"`{found['generator']}`, three classifiers of {_CLASSIFIER_IMAGES:,} images each, mean and standard deviation: "
            f"`{found['command']}`.",
            "",
        ]
    )


def _figure(value: float, spread: float) -> str:
    return f"{100 * value:.1f}% ± {100 * spread:.1f}%"


if __name__ == "__main__":
    main()
