"""From a run to its entry in the results and its sheet."""

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import drawwell
from benchmarks.quality import results
from benchmarks.quality.experiments import Experiment
from benchmarks.sheet import lay_out
from drawwell import atomic_files as files
from drawwell.files.quality import Measure, Name, Quality, to_builtins
from drawwell.formats.png import to_png
from drawwell_train.evaluation import record
from drawwell_train.evaluation.extractors import Extractor, open_extractor
from drawwell_train.evaluation.gan_train import gan_train_fresh, real_classifiers
from drawwell_train.evaluation.measure import draw, evaluate, of_features
from drawwell_train.evaluation.reference import Reference, Sources, read_reference
from drawwell_train.evaluation.source import Source, open_source
from drawwell_train.evaluation.stacks import count_kinds, read_stacks
from drawwell_train.run import checkpoint
from drawwell_train.run.checkpoint import Checkpoint, Step
from drawwell_train.run.run_folder import Run

Known = TypeVar("Known")

SHEETS = Path("docs", "sheets")
_SEED = 0
_JUDGED: tuple[Name, ...] = "kid", "recall", "class_recall", "gan_train_fresh"


def measure(experiment: Experiment, root: Path) -> None:
    """Measure the run's checkpoint, and write its entry, its record for the card, its sheet and its nearest neighbours."""
    begin = time.monotonic()
    generator, *more = experiment.generators
    source = open_source(generator, () if experiment.bundled else _step(experiment), more=list(map(Path, more)))
    quality = _measured(experiment, root, source)
    if source.checkpoint is not None:
        record.write(experiment.runs[0], source.checkpoint, quality, *source.more)
    SHEETS.mkdir(exist_ok=True)
    (SHEETS / f"{experiment.name}.png").write_bytes(to_png(lay_out(source.draw, len(source.class_names))))
    results.write(
        experiment.name,
        {
            "title": experiment.title,
            "command": experiment.pasted(Path("DATA")),
            "steps": steps_of(experiment),
            **(
                _of_card(experiment.name)
                if source.checkpoint is None
                else _of_runs(experiment, source.checkpoint, source.more)
            ),
            "measuring_seconds": round(time.monotonic() - begin),
            "quality": to_builtins(quality),
        },
    )


def _of_card(bundled: str) -> dict[str, Any]:
    """What the card knows of the training: not how long it took."""
    with drawwell.open(bundled, threads=1) as generator:
        training = generator.card.training
    return {"measured_step": training.steps, "images_seen": training.images, "training_seconds": None}


def _of_runs(experiment: Experiment, first: Checkpoint, more: Sequence[Checkpoint]) -> dict[str, Any]:
    members = first, *more
    seconds = map(_training_seconds, experiment.runs, [member.step for member in members])
    return {
        "seed": first.config.seed,
        "measured_step": sum(member.step for member in members),
        "images_seen": sum(member.step * member.config.images_per_step for member in members),
        "training_seconds": round(sum(seconds)),
    }


def steps_of(experiment: Experiment) -> int:
    """The steps of what would be measured now; 0 where there is nothing yet."""
    return int(_of_card(experiment.name)["measured_step"]) if experiment.bundled else last_step(*experiment.runs)


def _step(experiment: Experiment) -> Step:
    """The best of a training; the last of one of stacks, of which KID says little, of one at whose end the learning rate was 0, and
    of a mixture.
    """
    (newest, _), *others = (checkpoint.find(run, None) for run in experiment.runs)
    falling = newest.config.schedule == "linear"
    measured = any("kid" in line for line in Run(experiment.runs[0]).stats())
    return "best" if measured and not (others or experiment.digits or falling) else None


def _measured(experiment: Experiment, root: Path, source: Source) -> Quality:
    sources = experiment.sources(root)
    if experiment.digits:
        return count_kinds(source, _known(sources, source, read_stacks), _SEED)
    reference = _known(sources, source, functools.partial(read_reference, extractor=extractor()))
    found = evaluate(source, reference, _SEED, lambda sentence: print(f"{experiment.name}: {sentence}", flush=True))
    if not experiment.bundled:
        files.write(experiment.runs[0] / "nearest.png", to_png(found.nearest))
    return found.quality


def judge(runs: Sequence[Path], reference: Reference) -> dict[Name, Measure]:
    """What the presets race for: ``kid``, ``recall``, ``class_recall`` and ``gan_train_fresh`` of the newest checkpoint, or of the
    mixture of several runs.

    The reference is to be the same for all runs. Its ``classifier_images`` say how long classifiers learn: 60,000 images,
    a fifth of what is published, tell presets apart in a fifth of the time, and are a scale of their own.
    """
    source = open_source(str(runs[0]), more=runs[1:])
    parts = list(of_features(reference, draw(source, reference, _SEED)))
    if source.class_names:
        real = real_classifiers(reference, _silent)
        parts.append(gan_train_fresh(source.draw, reference, real, _SEED, _silent))
    found = {name: one for part in parts for name, one in part.measures.items()}
    return {name: found[name] for name in _JUDGED if name in found}


def _silent(_: str) -> None: ...


_read: dict[tuple[Sources, tuple[int, int, int]], Any] = {}


def _known(sources: Sources, source: Source, read: Callable[[Sources, Source], Known]) -> Known:
    """What is known of real images serves all runs that are measured with them; without a test set what is held out is a run's own."""
    key = sources, source.shape
    if key not in _read or sources.test is None:
        _read[key] = read(sources, source)
    known: Known = _read[key]
    return known


@functools.cache
def extractor() -> Extractor:
    return open_extractor()


def last_step(*runs: Path) -> int:
    """The newest checkpoint's, added up; 0 where one of the runs has none yet."""
    newest = [checkpoint.load_latest(run / "checkpoints")[0] for run in runs]
    return sum(one.step for one in newest if one) if all(newest) else 0


def _training_seconds(run: Path, step: int) -> float:
    """What the steps took, without measures, sheets and checkpoints."""
    seconds, seen = 0.0, 0
    for line in Run(run).stats():
        if line["step"] <= step and "images_per_second" in line:
            seconds += (line["images"] - seen) / line["images_per_second"]
            seen = line["images"]
    return seconds
