"""`drawwell evaluate`: measures of a generator's images, each next to the score of real images."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import torch
import tyro

from drawwell import atomic_files as files
from drawwell import terminal
from drawwell.addresses.arguments import check_address
from drawwell.engine.cores import cores
from drawwell.errors import DrawwellError
from drawwell.files.quality import MAX_SPREAD, Quality
from drawwell.formats.png import to_png
from drawwell_train.config import MAX_BAD
from drawwell_train.data.dataset import Limits
from drawwell_train.evaluation import record
from drawwell_train.evaluation.extractors import DEFAULT, open_extractor
from drawwell_train.evaluation.measure import evaluate
from drawwell_train.evaluation.reference import CLASSIFIERS, OTHER_IMAGES, Sources, read_reference
from drawwell_train.evaluation.source import Source, open_source
from drawwell_train.evaluation.stacks import count_kinds, read_stacks
from drawwell_train.run.checkpoint import Checkpoint, Say
from drawwell_train.run.mixture import Steps, in_words


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure how good the images of a generator are: realism, variety, class balance, use for training, and copies of training
    images. Every score is shown next to the score that real images get in the same test."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A run folder, a generator file, the name of a bundled generator, or the URL of a server.
    Several run folders (MODEL RUN ...), or several --step, are measured as the mixture that `drawwell export` makes of them."""
    data: Annotated[str, tyro.conf.arg(metavar="DATA")]
    """The training images of the generator: anything that `drawwell train` reads."""
    test: Annotated[str | None, tyro.conf.arg(metavar="DATA", help_behavior_hint="")] = None
    """Real images that are no training images: their score is shown next to the score of generated images.
    Without --test, generated images are compared with one half of --data, and the other half gets the score of real images."""
    resize: bool = False
    """Convert real images to the size and colours of the generator, as `drawwell train` does."""
    max_bad: float = MAX_BAD
    """Share of a folder's pictures that may be unreadable, as in `drawwell train`."""
    max_megapixels: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Largest picture that is read, as in `drawwell train`."""
    step: Annotated[
        Steps, tyro.conf.UseAppendAction, tyro.conf.arg(metavar="INT|best", help_behavior_hint="(repeatable)")
    ] = ()
    """Checkpoint of each run: a step, or `best` for the lowest KID in training. By default the last.
    Repeat it for a mixture of several checkpoints of each run."""
    count: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Number of generated images, and of real images to compare them with, at most as many as there are real images.
    By default 10,000, and 26,000 with --stacked as in the papers."""
    seed: int = 0
    """Seed of the generated images: the first --count images of it are measured."""
    extractor: str = DEFAULT
    """Network whose features are compared: efficientnet-lite0, or the path of inception-2015-12-05.pt for Inception."""
    classifier: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: measure both)")] = True
    """Do not measure class balance and use for training: they need classifiers, which take minutes to train."""
    classifier_seeds: Annotated[int, tyro.conf.arg(metavar="INT")] = CLASSIFIERS
    """Classifiers of each kind: scores are their mean and standard deviation. 1 takes a third of the time of 3."""
    spreads: Annotated[tuple[float, ...], tyro.conf.arg(metavar="FACTOR", help_behavior_hint="(default: none)")] = ()
    """Factors for the latents, for example 0.7 1.4: measure use for training with each of them as well.
    Each factor trains as many classifiers as --classifier-seeds says."""
    stacked: bool = False
    """For a generator of Stacked MNIST: count how many of the 1,000 kinds of three digits it draws. --data are the digits."""
    threads: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """CPU threads. By default one per core."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")] = None
    """Folder for measures.json and nearest.png. By default measures/ in the run folder, otherwise NAME-measures."""
    more: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[RUN ...]", help_behavior_hint="")
    ] = ()
    """More run folders, for a mixture."""


def main(config: EvaluateConfig) -> None:
    """Run `drawwell evaluate`. Raises ``DrawwellError`` with a sentence that says what to change."""
    _check(config)
    console = terminal.console()
    torch.set_num_threads(config.threads or cores())
    source = open_source(config.model, config.step, console.print, config.threads or cores(), config.more)
    folder = config.out or _folder(config.model, source)
    quality = (_stacks if config.stacked else _images)(config, source, folder, console.print)
    files.write(folder / "measures.json", msgspec.json.format(msgspec.json.encode(quality), indent=2))
    print("\n".join(terminal.table(quality.in_words())), flush=True)
    if source.checkpoint is not None:
        console.print(_keep(config, source.checkpoint, source.more, quality))
    if not config.stacked:
        console.print(f"see {folder}/nearest.png: generated images, each with its nearest training image below it")


def _keep(config: EvaluateConfig, measured: Checkpoint, more: tuple[Checkpoint, ...], quality: Quality) -> str:
    """Write the measures where export finds them, unless measures of more images are there. Returns a sentence about it."""
    run = Path(config.model).expanduser()
    if OTHER_IMAGES in quality.remarks:
        return f"{OTHER_IMAGES}, so the export does not put these measures into the card"
    known = record.read(run, measured, *more)
    if known is not None and known.images > quality.images:
        return f"{run} keeps its measures of {known.images:,} images: these are of only {quality.images:,}"
    record.write(run, measured, quality, *more)
    return (
        f"next: drawwell export {in_words([config.model, *config.more], config.step)} puts these measures into the card"
    )


def _images(config: EvaluateConfig, source: Source, folder: Path, say: Say) -> Quality:
    _check_spreads(config, source)
    reference = read_reference(_sources(config), source, open_extractor(config.extractor), config.classifier_seeds)
    _make(folder)
    found = evaluate(source, reference, config.seed, say, config.classifier, config.spreads)
    files.write(folder / "nearest.png", to_png(found.nearest))
    return found.quality


def _stacks(config: EvaluateConfig, source: Source, folder: Path, say: Say) -> Quality:
    real = read_stacks(_sources(config), source)
    _make(folder)
    say("training a classifier on the digits takes minutes")
    return count_kinds(source, real, config.seed)


def _sources(config: EvaluateConfig) -> Sources:
    limits = Limits(config.max_bad, config.max_megapixels)
    return Sources(config.data, config.test, config.resize, config.count, limits)


def _check(config: EvaluateConfig) -> None:
    check_address(config.seed, 1 if config.count is None else config.count, 0, None)
    if config.threads is not None and config.threads < 1:
        raise DrawwellError(f"--threads must be at least 1, not {config.threads}")
    if not 0 <= config.max_bad <= 1:
        raise DrawwellError(f"--max-bad must be a share from 0 to 1, not {config.max_bad:g}")
    if config.max_megapixels is not None and config.max_megapixels < 1:
        raise DrawwellError(f"--max-megapixels must be at least 1, not {config.max_megapixels}")
    if config.classifier_seeds < 1:
        raise DrawwellError(f"--classifier-seeds must be at least 1, not {config.classifier_seeds}")
    if wrong := [spread for spread in config.spreads if not 0 < spread <= MAX_SPREAD]:
        raise DrawwellError(f"--spreads must be above 0 and at most {MAX_SPREAD}, not {wrong[0]:g}")
    if config.spreads and not (config.classifier and config.test):
        raise DrawwellError("--spreads measures use in training: add --test, and leave out --no-classifier")
    if config.stacked and not config.classifier:
        raise DrawwellError("--stacked needs a classifier: leave out --no-classifier")


def _check_spreads(config: EvaluateConfig, source: Source) -> None:
    if config.spreads and not source.class_names:
        raise DrawwellError(f"{config.model}: --spreads needs a generator with classes: leave it out")
    if config.spreads and source.at_spread is None:
        raise DrawwellError(
            f"{config.model}: a server makes its latents itself: name its generator file to use --spreads"
        )


def _folder(model: str, source: Source) -> Path:
    if source.checkpoint is not None:
        return Path(model).expanduser() / "measures"
    return Path(re.sub(r"[^\w.-]", "_", source.name) + "-measures")  # a name in a card may hold any path


def _make(folder: Path) -> None:
    """Create the folder, before minutes of measuring and not after them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DrawwellError(
            f"{folder}: cannot be made a folder for the measures ({error.strerror}): choose another with --out"
        ) from error
