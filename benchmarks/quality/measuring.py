"""From a run to its entry in the results and its sheet."""

import functools
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.quality import results
from benchmarks.quality.experiments import Experiment
from drawwell.pictures import Images, contact_sheet, to_png
from drawwell_train.evaluation import record
from drawwell_train.evaluation.extractors import Extractor, open_extractor
from drawwell_train.evaluation.main import write
from drawwell_train.evaluation.measure import evaluate
from drawwell_train.evaluation.reference import Reference, Sources, read_reference
from drawwell_train.evaluation.source import Source, open_source

SHEETS = Path("docs", "sheets")
_SEED, _SHEET_SEED = 0, 7
_SHEET_IMAGES, _OF_EACH_CLASS = 64, 10


def measure(experiment: Experiment, root: Path) -> None:
    """Measure the run's checkpoint, and write its entry, its record for the card, its sheet and its nearest neighbours."""
    begin = time.monotonic()
    source = open_source(str(experiment.run), "best" if any("kid" in line for line in _lines(experiment.run)) else None)
    checkpoint = source.checkpoint
    assert checkpoint is not None, "a run folder was opened"
    reference = _reference(experiment.sources(root), source)
    found = evaluate(source, reference, _SEED, lambda sentence: print(f"{experiment.name}: {sentence}", flush=True))
    write(found, experiment.run / "measures")
    record.write(experiment.run, checkpoint, found.quality)
    SHEETS.mkdir(exist_ok=True)
    (SHEETS / f"{experiment.name}.png").write_bytes(to_png(sheet(source)))
    results.write(
        experiment.name,
        {
            "title": experiment.title,
            "command": f"drawwell {' '.join(experiment.command(Path('DATA')))}",
            "seed": checkpoint.config.seed,
            "steps": _last_step(experiment.run),
            "measured_step": checkpoint.step,
            "images_seen": checkpoint.step * experiment.images_a_step,
            "training_seconds": round(_training_seconds(experiment.run, checkpoint.step)),
            "measuring_seconds": round(time.monotonic() - begin),
            "quality": msgspec.to_builtins(found.quality),
        },
    )


_known: dict[tuple[Sources, tuple[int, int, int]], Reference] = {}


def _reference(sources: Sources, source: Source) -> Reference:
    """What is known of real images serves all runs that are measured with them."""
    key = sources, source.shape
    if key not in _known or sources.test is None:  # without a test set what a run held out is its own
        _known[key] = read_reference(sources, source, extractor())
    return _known[key]


@functools.cache
def extractor() -> Extractor:
    return open_extractor()


def sheet(source: Source) -> Images:
    """The first images of a seed, uint8 ``[H', W', C]``; of a generator with classes ten of each, a class a row."""
    classes = len(source.class_names)
    if not classes:
        return contact_sheet(source.draw(_SHEET_SEED, range(_SHEET_IMAGES), None))
    labels = np.repeat(np.arange(classes), _OF_EACH_CLASS)
    return contact_sheet(source.draw(_SHEET_SEED, range(len(labels)), labels), _OF_EACH_CLASS)


def _lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]


def _last_step(run: Path) -> int:
    return int(_lines(run)[-1]["step"])


def _training_seconds(run: Path, step: int) -> float:
    """What the steps took, without measures, sheets and checkpoints."""
    seconds, seen = 0.0, 0
    for line in _lines(run):
        if line["step"] <= step and "images_per_second" in line:
            seconds += (line["images"] - seen) / line["images_per_second"]
            seen = line["images"]
    return seconds
