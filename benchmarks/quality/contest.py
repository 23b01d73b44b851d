"""Which preset gives the best images for the same processor time: each candidate of ``CANDIDATES`` trains with one thread.

What a step of each costs is measured in one process, in turns, as processor time beside that of ``dcgan``. Each then takes as many
steps as fit into the time of ``--steps`` steps of ``dcgan``. Runs lie in ``runs/contest`` and go on where they stopped; each is
measured when it is finished, and ``results/contest.json`` and the table in docs/reports/quality.md are written anew.
"""

import argparse
import dataclasses
import json
import os
import shlex
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from benchmarks.quality import results, tables
from benchmarks.quality.experiments import RELATIVISTIC, find, prepare
from benchmarks.quality.measuring import extractor, judge, last_step
from benchmarks.report import RESULTS
from drawwell import atomic_files as files
from drawwell.errors import DrawwellError
from drawwell.files.quality import WORDS
from drawwell_train.config import TrainConfig
from drawwell_train.data import dataset as data
from drawwell_train.data.images import ImageData
from drawwell_train.evaluation.reference import Reference, Sources, read_reference
from drawwell_train.evaluation.source import open_source
from drawwell_train.options import TrainOptions
from drawwell_train.resolve import facts_of_images, resolve
from drawwell_train.step import state
from drawwell_train.step.batches import Batches
from drawwell_train.step.steps import train_step

RUNS = Path("runs", "contest")
FILE = RESULTS / "contest.json"
_CLASSIFIER_IMAGES = 60_000
_ROUNDS, _STEPS = 7, 4

_LATE = "--schedule", "linear", "--ema-halflife-images", "444000"
_EARLY = "--schedule", "constant", "--ema-halflife-images", "10000"
_CONSISTENT = "--consistency", "10"
_R1_R2 = (
    "--loss",
    "relativistic",
    "--d-norm",
    "none",
    "--r1",
    "0.05",
    "--r2",
    "0.05",
    "--penalty-form",
    "finite-difference",
)
_DEEP_BATCH_NORM = "--preset", "sngan", "--d-norm", "batch", "--loss", "non-saturating"
CANDIDATES: dict[str, tuple[str, ...]] = {
    "dcgan": (),
    "dcgan-linear": _LATE,
    "dcgan-relativistic": (*_LATE, "--loss", "relativistic"),
    "dcgan-fast": ("--learning-rate", "4e-4"),
    "dcgan-batch-32": ("--batch-size", "32"),
    "dcgan-wide-d": ("--d-width", "128"),
    "sngan": ("--preset", "sngan"),
    "sngan-half": ("--preset", "sngan", "--d-width", "32"),
    "sngan-quarter": ("--preset", "sngan", "--d-width", "16"),
    "sngan-half-r1r2": ("--preset", "sngan", "--d-width", "32", *_R1_R2),
    "sngan-quarter-r1r2": ("--preset", "sngan", "--d-width", "16", *_R1_R2),
    "sngan-quarter-r1r2-early": RELATIVISTIC,
    "sngan-half-early": ("--preset", "sngan", "--d-width", "32", *_EARLY),
    "sngan-half-batch-norm": (*_DEEP_BATCH_NORM, *_EARLY, "--d-width", "32"),
    "sngan-quarter-batch-norm": (*_DEEP_BATCH_NORM, *_EARLY, "--d-width", "16"),
}
CANDIDATES |= {
    f"{name}-consistent": (*CANDIDATES[name], *_CONSISTENT)
    for name in ("dcgan", "dcgan-linear", "dcgan-relativistic", "sngan-half", "sngan-quarter", "sngan-quarter-r1r2")
}


@dataclass(frozen=True)
class Field:
    """The images of a contest, and the options about them for every candidate."""

    data: str
    test: str
    options: tuple[str, ...] = ("--conditional",)


FIELDS = {
    "fashion": Field("fashion-mnist.npz", "fashion-mnist-test.npz"),
    "cifar": Field("cifar-10-batches-bin", "cifar-10-batches-bin/test_batch.bin.gz", ("--conditional", "--flip")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets of make results")
    parser.add_argument("--field", choices=FIELDS, default="fashion")
    parser.add_argument(
        "--steps", type=int, default=20_000, help="each candidate gets the time of so many steps of dcgan"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--generators", type=int, nargs="+", default=[1], help="more than 1: mixtures of so many seeds")
    parser.add_argument("--only", nargs="*", choices=CANDIDATES, default=list(CANDIDATES))
    parser.add_argument(
        "--classifiers", type=int, default=3, help="number of GAN-train's classifiers; 1 for a first look"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="number of trainings at the same time, with one thread each"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    prepare(options.data)
    runs = [
        Entrant(options.field, name, options.steps, seed, count)
        for count in options.generators
        for seed in options.seeds
        for name in options.only
    ]
    with ThreadPoolExecutor(options.workers) as pool:
        for done in [pool.submit(carry_out, run, options.data, options.classifiers) for run in runs]:
            done.result()
    tables.show("contest", table(read()), FILE.name)


@dataclass(frozen=True)
class Entrant:
    """One candidate with one seed, trained in the time of ``budget`` steps of dcgan.

    With several ``generators`` it is the mixture of trainings with the seeds from ``seed`` on, each with the whole time.
    """

    field: str
    candidate: str
    budget: int
    seed: int
    generators: int = 1

    @property
    def name(self) -> str:
        return (
            f"{self.members()[0].name}-of{self.generators}" if self.generators > 1 else f"{self._kind}-seed{self.seed}"
        )

    @property
    def _kind(self) -> str:
        return f"{self.field}-{self.budget}-{self.candidate}"

    @property
    def run(self) -> Path:
        return RUNS / f"{self._kind}-seed{self.seed}"

    def members(self) -> list["Entrant"]:
        """Those with one generator each, whose mixture it is."""
        seeds = range(self.seed, self.seed + self.generators)
        return [dataclasses.replace(self, seed=seed, generators=1) for seed in seeds]

    def steps(self, costs: Mapping[str, float]) -> int:
        return round(self.budget / costs[self.candidate])

    def command(self, root: Path, steps: int) -> list[str]:
        """What `drawwell` is called with, to train one generator."""
        field = FIELDS[self.field]
        given = "--out", str(self.run), "--steps", str(steps), "--threads", "1", "--seed", str(self.seed)
        rare = "--kid-every", "0", "--log-every", "500", "--sample-every", "5000", "--save-every", "1000", "--keep", "1"
        return ["train", str(find(root, field.data)), *given, *field.options, *CANDIDATES[self.candidate], *rare]


def carry_out(entrant: Entrant, root: Path, classifiers: int) -> None:
    """Train to the end, and measure, unless that was done with the same options and as many classifiers."""
    known = read().get(entrant.name)
    if known and known["options"] == list(CANDIDATES[entrant.candidate]) and known["classifiers"] >= classifiers:
        return
    costs = _costs(entrant.field, root)
    steps = entrant.steps(costs)
    for member in entrant.members():
        with _training[member.run]:  # a mixture shares its members with others
            if last_step(member.run) < steps:
                _train(member.command(root, steps), member.run.with_suffix(".log"))
    with _measuring:
        _write(entrant, costs[entrant.candidate], classifiers, _measure(entrant, root, classifiers))


def read() -> dict[str, Any]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def table(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each candidate in the time of as many steps of dcgan, with the mean over its seeds and their standard deviation."""
    rows = dict[tuple[str, int, str], list[Mapping[str, Any]]]()
    for entry in entries.values():
        several = "" if entry["generators"] == 1 else f", {entry['generators']} generators"
        rows.setdefault((entry["field"], entry["budget"], entry["candidate"] + several), []).append(entry)
    lines = [
        "| images | time, in steps of dcgan | candidate | cost of a step | images seen | seeds "
        f"| {WORDS['kid'].label} | {WORDS['class_recall'].label} | {WORDS['gan_train_fresh'].label} |",
        "|---" * 9 + "|",
    ]
    for (field, budget, candidate), group in sorted(rows.items(), key=lambda row: (*row[0][:2], _kid(row[1]))):
        kid = _figure(group, "kid", 1000, "")
        recall, gan_train = (_figure(group, name, 100, "%") for name in ("class_recall", "gan_train_fresh"))
        seen, cost = f"{group[0]['images_seen']:,}", f"{group[0]['cost']:.2f}"
        lines.append(
            f"| {field} | {budget:,} | {candidate} | {cost} | {seen} | {len(group)} | {kid} | {recall} | {gan_train} |"
        )
    options = [f"- {name}: `{shlex.join(given) or 'the default'}`" for name, given in CANDIDATES.items()]
    entered = {entry["candidate"] for entry in entries.values()}
    return "\n".join([*lines, "", *(line for line in options if line.split(":")[0][2:] in entered)]) + "\n"


def _kid(group: Sequence[Mapping[str, Any]]) -> float:
    return statistics.fmean(entry["measures"]["kid"]["value"] for entry in group)


def _figure(group: Sequence[Mapping[str, Any]], name: str, factor: float, unit: str) -> str:
    values = [factor * entry["measures"][name]["value"] for entry in group]
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{deviation}{unit}"


_measuring = threading.Lock()
_training: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)


def _train(command: list[str], log: Path) -> None:
    with log.open("ab") as output:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        full = [sys.executable, "-m", "drawwell", *command]
        done = subprocess.run(full, stdout=output, stderr=output, env=environment, check=False)
    if done.returncode:
        raise DrawwellError(log.read_text()[-500:])


def _measure(entrant: Entrant, root: Path, classifiers: int) -> dict[str, Any]:
    reference = _reference(entrant.field, root, classifiers, str(entrant.run))
    found = judge([member.run for member in entrant.members()], reference)
    return {name: dataclasses.asdict(measure) for name, measure in found.items()}


def _write(entrant: Entrant, cost: float, classifiers: int, measures: Mapping[str, Any]) -> None:
    checkpoint = open_source(str(entrant.run)).checkpoint
    assert checkpoint is not None, "a run folder was opened"
    entry = {
        **dataclasses.asdict(entrant),
        "options": list(CANDIDATES[entrant.candidate]),
        "cost": cost,
        "classifiers": classifiers,
        "images_seen": entrant.generators * checkpoint.step * checkpoint.config.images_per_step,
        "measures": measures,
    }
    files.write(
        FILE, (json.dumps(read() | {entrant.name: results.signed(entry)}, indent=2, sort_keys=True) + "\n").encode()
    )
    print(entrant.name, {name: round(one["value"], 4) for name, one in measures.items()}, flush=True)


_references: dict[tuple[str, int], Reference] = {}


def _reference(field: str, root: Path, classifiers: int, run: str) -> Reference:
    """The real images of a field, read once; any run of it says their shape."""
    if (field, classifiers) not in _references:
        sources = Sources(str(find(root, FIELDS[field].data)), str(find(root, FIELDS[field].test)))
        reference = read_reference(sources, open_source(run), extractor=extractor())
        _references[field, classifiers] = dataclasses.replace(
            reference, classifier_images=_CLASSIFIER_IMAGES, classifiers=classifiers
        )
    return _references[field, classifiers]


def _costs(field: str, root: Path) -> dict[str, float]:
    """Processor time of a step of each candidate, as a multiple of dcgan's; measured once for all runs of a field, and once for all
    candidates whose steps are the same arithmetic.
    """
    file = RUNS / f"costs-{field}.json"
    with _measuring:
        known: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
        if missing := {_arithmetic(name) for name in CANDIDATES} - set(known):
            RUNS.mkdir(parents=True, exist_ok=True)
            known |= measure_costs(field, root, missing)
            files.write(file, json.dumps(known, indent=2, sort_keys=True).encode())
    return {name: known[_arithmetic(name)] for name in CANDIDATES}


def _arithmetic(name: str) -> str:
    """The first candidate whose steps compute the same, with other numbers."""

    def computed(options: tuple[str, ...]) -> list[tuple[str, str]]:
        pairs = zip(options[::2], options[1::2], strict=True)
        return [pair for pair in pairs if pair[0] not in ("--schedule", "--learning-rate", "--ema-halflife-images")]

    return next(other for other in CANDIDATES if computed(CANDIDATES[other]) == computed(CANDIDATES[name]))


def measure_costs(field: str, root: Path, names: Iterable[str]) -> dict[str, float]:
    """Medians of ``_ROUNDS`` rounds, in each of which every candidate makes some steps in turn with dcgan."""
    images = data.load(str(find(root, FIELDS[field].data)))
    steps = {name: _stepper(field, name, images) for name in {*names, "dcgan"}}
    for step in steps.values():
        step()
    rounds = [{name: _processor_time(step) for name, step in steps.items()} for _ in range(_ROUNDS)]
    return {name: statistics.median(one[name] / one["dcgan"] for one in rounds) for name in names}


def _processor_time(step: Callable[[], object]) -> float:
    begin = time.process_time()
    for _ in range(_STEPS):
        step()
    return time.process_time() - begin


def configured(field: str, name: str, images: ImageData) -> TrainConfig:
    """As the command would have it."""
    given = [field, "--threads", "1", *FIELDS[field].options, *CANDIDATES[name]]
    options = tyro.cli(TrainOptions, args=given)
    return resolve(options, facts_of_images(options, images))


def _stepper(field: str, name: str, images: ImageData) -> Callable[[], object]:
    config = configured(field, name, images)
    device = torch.device(config.device)
    built, batches = state.build(config, device), Batches(images, config, device, 0)
    return lambda: train_step(built, config, batches.next)


if __name__ == "__main__":
    main()
