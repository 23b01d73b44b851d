"""`drawwell evaluate`: how good a generator's images are, in numbers with their protocol."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import torch
import tyro

from drawwell import terminal
from drawwell.addresses.arguments import check_address
from drawwell.engine.cores import cores
from drawwell.errors import DrawwellError
from drawwell.files.quality import MOST_SPREAD, Quality
from drawwell.formats.png import to_png
from drawwell_train.config import MAX_BAD
from drawwell_train.data.dataset import Limits
from drawwell_train.evaluation import record
from drawwell_train.evaluation.extractors import DEFAULT, open_extractor
from drawwell_train.evaluation.measure import evaluate
from drawwell_train.evaluation.reference import CLASSIFIERS, Sources, read_reference
from drawwell_train.evaluation.source import Say, Source, open_source
from drawwell_train.evaluation.stacks import count_kinds, read_stacks
from drawwell_train.run import atomic_files as files
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.run.mixture import Steps, in_words


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure how good a generator's images are: how near to real ones, how varied, how balanced, how fit for training, and
    whether they are copies. Each figure comes with that of real images in their place."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A run folder, a generator file, the name of a bundled generator, or the URL of a server. Of several run folders
    (MODEL RUN ...), or several steps of one, the mixture is measured that `drawwell export` makes of them."""
    data: Annotated[str, tyro.conf.arg(metavar="DATA")]
    """The images that it learned from, as `drawwell train` takes them."""
    test: Annotated[str | None, tyro.conf.arg(metavar="DATA", help_behavior_hint="")] = None
    """Real images that it did not learn from, for the floor under each figure. Without them one half of --data is compared
    with, and the other is the floor."""
    resize: bool = False
    """Convert real images to the size and colours of the generator's, as `drawwell train` does."""
    max_bad: float = MAX_BAD
    """As in `drawwell train`: the share of a folder's pictures that may be unreadable."""
    max_megapixels: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """As in `drawwell train`: the largest picture that is read."""
    step: Annotated[
        Steps, tyro.conf.UseAppendAction, tyro.conf.arg(metavar="INT|best", help_behavior_hint="(repeatable)")
    ] = ()
    """Of every run: which checkpoint, or best, the one with the lowest KID in training. By default the last.
    Given several times, it takes several checkpoints of every run, for a mixture."""
    count: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Images to draw, and real ones to compare them with. By default 10,000, with --stacked 26,000, as published; fewer where
    there are not so many real ones."""
    seed: int = 0
    """The drawn images are the first of this seed."""
    extractor: str = DEFAULT
    """The network whose features are compared: efficientnet-lite0, or Inception by the path of inception-2015-12-05.pt."""
    classifier: bool = True
    """Measure what takes a classifier: the balance of the classes, and how fit the images are to train one. Takes minutes."""
    classifier_seeds: Annotated[int, tyro.conf.arg(metavar="INT")] = CLASSIFIERS
    """Classifiers of each kind: figures are their mean, with the standard deviation. 1 takes a third of the time."""
    spreads: Annotated[tuple[float, ...], tyro.conf.arg(metavar="FACTOR")] = ()
    """Measure use in training also of images whose latents are multiplied by each of these, as 0.7 1.4. Each takes as many
    classifiers more."""
    stacked: bool = False
    """The generator draws stacks of three digits, and --data are the digits: count the kinds of stacks, of 1,000."""
    threads: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Threads of the processor. By default one a core."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")] = None
    """The folder for measures.json and nearest.png. By default measures/ in the run folder, or NAME-measures."""
    more: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help_behavior_hint="")] = ()
    """More run folders, for a mixture."""


def main(config: EvaluateConfig) -> None:
    """Measure what ``config`` says. Raises ``DrawwellError`` with a sentence where that cannot be done."""
    _check(config)
    console = terminal.console()
    torch.set_num_threads(config.threads or cores())
    source = open_source(config.model, config.step, console.print, config.threads or cores(), config.more)
    folder = config.out or _folder(config.model, source)
    quality = (_stacks if config.stacked else _images)(config, source, folder, console.print)
    files.write(folder / "measures.json", msgspec.json.format(msgspec.json.encode(quality), indent=2))
    print("\n".join(terminal.table(quality.in_words())))
    if source.checkpoint is not None:
        console.print(_keep(config, source.checkpoint, source.more, quality))
    if not config.stacked:
        console.print(f"see {folder}/nearest.png: drawn images, and below each the one it learned from that is nearest")


def _keep(config: EvaluateConfig, measured: Checkpoint, more: tuple[Checkpoint, ...], quality: Quality) -> str:
    """Leave the measures where export finds them, unless better founded ones are there. Returns what was done."""
    run = Path(config.model).expanduser()
    known = record.read(run, measured, *more)
    if known is not None and known.images > quality.images:
        return f"the card keeps the measures of {known.images:,} images that {run} has; these are of {quality.images:,}"
    record.write(run, measured, quality, *more)
    return f"drawwell export {in_words([config.model, *config.more], config.step)} puts these into the card"


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
    say("a classifier learns the digits now, which takes minutes")
    return count_kinds(source, real, config.seed)


def _sources(config: EvaluateConfig) -> Sources:
    limits = Limits(config.max_bad, config.max_megapixels)
    return Sources(config.data, config.test, config.resize, config.count, limits)


def _check(config: EvaluateConfig) -> None:
    check_address(config.seed, 1 if config.count is None else config.count, 0, None)
    if config.threads is not None and config.threads < 1:
        raise DrawwellError(f"threads must be at least 1, not {config.threads}")
    if not 0 <= config.max_bad <= 1:
        raise DrawwellError(f"max-bad is a share, from 0 to 1, not {config.max_bad:g}")
    if config.max_megapixels is not None and config.max_megapixels < 1:
        raise DrawwellError(f"max-megapixels must be at least 1, not {config.max_megapixels}")
    if config.classifier_seeds < 1:
        raise DrawwellError(f"classifier-seeds must be at least 1, not {config.classifier_seeds}")
    if wrong := [spread for spread in config.spreads if not 0 < spread <= MOST_SPREAD]:
        raise DrawwellError(f"spreads must be above 0 and at most {MOST_SPREAD}, not {wrong[0]:g}")
    if config.spreads and not (config.classifier and config.test):
        raise DrawwellError("--spreads measures use in training, which takes --test and a classifier")
    if config.stacked and not config.classifier:
        raise DrawwellError("it takes a classifier to count stacks: leave out --no-classifier")


def _check_spreads(config: EvaluateConfig, source: Source) -> None:
    if config.spreads and not source.class_names:
        raise DrawwellError(f"{config.model}: --spreads measures use in training, which takes a generator with classes")
    if config.spreads and source.at_spread is None:
        raise DrawwellError(f"{config.model}: a server makes the latents itself: name its generator file for --spreads")


def _folder(model: str, source: Source) -> Path:
    if source.checkpoint is not None:
        return Path(model).expanduser() / "measures"
    return Path(re.sub(r"[^\w.-]", "_", source.name) + "-measures")  # a card may come from anywhere, and name any path


def _make(folder: Path) -> None:
    """Before minutes of measuring, and not after them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DrawwellError(f"{folder}: cannot be made a folder for the measures ({error.strerror})") from error
