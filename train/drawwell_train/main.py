"""`drawwell train`: options in, a finished run folder out."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import IO, cast

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column

from drawwell import terminal
from drawwell.errors import DrawwellError, StoppedError
from drawwell.text import printable
from drawwell_train.config import TrainConfig
from drawwell_train.data import dataset
from drawwell_train.data.classes import numbered_as, remarks_on_numbers
from drawwell_train.data.images import ImageData
from drawwell_train.distributed import is_first, process_group, world_size
from drawwell_train.loop import CollapsedError, DivergedError, check_continues, train
from drawwell_train.monitor import best_kid, curves, tensorboard
from drawwell_train.monitor.ticks import Line, in_words
from drawwell_train.options import TrainOptions
from drawwell_train.presets import PRESETS, STD_GROUP
from drawwell_train.resolve import facts_of_images, facts_of_run, resolve
from drawwell_train.run.checkpoint import newest_config
from drawwell_train.run.listeners import Listeners
from drawwell_train.run.run_folder import Run
from drawwell_train.step import state
from drawwell_train.step.batches import held_out_of

_SHOWN_CLASSES = 12
_LONG_IMAGES = 2_500_000
"""In the time in which dcgan sees so many grey images of 28 px, about 40 minutes of one core, rpgan's images are the better ones to
train classifiers on, though dcgan's are nearer to real ones. In colour rpgan needs far longer (docs/reports/quality.md).
"""
_FEW_IMAGES = 3000
"""Below a few thousand images, augmentation of what D sees is worth more than any other option (Zhao et al. 2020)."""


def main(options: TrainOptions) -> None:
    """Train as the options say.

    Args:
        options: as given on the command line.

    Raises:
        DrawwellError: the options, the data or the run folder cannot be used, or training stopped; the message says what to do.
    """
    console = terminal.console()
    console.quiet = not is_first()
    if sys.stderr is not None:  # it may be closed
        console.file = cast(IO[str], Listeners(sys.stderr))
    dataset.find(options.data)
    draft = resolve(options)
    _check_apart(draft)
    _check_shards(draft)
    if options.tensorboard:
        tensorboard.check_installed()
    run = Run(draft.out)
    # before the data is loaded, which may take minutes
    with run.locked() if is_first() and not options.dry_run else nullcontext():
        before = newest_config(run.checkpoints)
        if before is not None:
            check_continues(run, before, resolve(options, facts_of_run(options, before)))
        images = _load(options, before)
        config = resolve(options, facts_of_images(options, images))
        _print_plan(config, images, console)
        if not config.dry_run:
            _train(config, images, run, console)


def _load(options: TrainOptions, before: TrainConfig | None) -> ImageData:
    """The data. A continued run keeps the numbers of its classes."""
    limits = dataset.Limits(options.max_bad, options.max_megapixels)
    sizes = PRESETS[options.preset].sizes
    images = dataset.load(options.data, options.size, options.channels, sizes, limits=limits)
    known = numbered_as(images, before.class_names) if before is not None and options.conditional else None
    return images if known is None else known


def _print_plan(config: TrainConfig, images: ImageData, console: Console) -> None:
    for sentence in images.skipped:
        console.print(f"skipped {printable(sentence)}")
    if images.skipped:
        console.print(f"skipped {len(images.skipped):,} bad files of {len(images.skipped) + len(images.images):,}")
    for sentence in images.remarks:
        console.print(printable(sentence))
    with _memory_errors():
        console.print(describe(config, images))


def _train(config: TrainConfig, images: ImageData, run: Run, console: Console) -> None:
    torch.set_num_threads(config.threads)
    with process_group(config.device), _memory_errors(), _Progress(config, console) as progress:
        try:
            finished = train(config, images, run, progress.show, console.print)
        except (StoppedError, CollapsedError, DivergedError):
            _draw_curves(run)
            raise
        console.print(f"done: {finished.step:,} steps; weights {state.digest(state.to_tensors(finished))}")
        _draw_curves(run)
    console.print(
        f"see {run.path}/curves.png and {run.path}/samples; next: drawwell export {shlex.quote(str(run.path))}"
    )


def _draw_curves(run: Run) -> None:
    if is_first():
        curves.draw(run)


@contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate" not in str(error):
            raise
        raise DrawwellError(f"not enough memory: try a smaller --width or --batch-size ({error})") from error


def _check_apart(config: TrainConfig) -> None:
    """A run inside its own data would be read as pictures the next time."""
    out, data = config.out.resolve(), Path(config.data)
    if data.is_dir() and out.is_relative_to(data):
        raise DrawwellError(f"the run folder {out} lies inside the data {data}: name another folder with --out")


def _check_shards(config: TrainConfig) -> None:
    least = world_size() * config.pack * (STD_GROUP if config.minibatch_std else 1)
    if config.batch_size % least:
        packs = f", in packs of {config.pack}," if config.pack > 1 else ""
        raise DrawwellError(
            f"--batch-size {config.batch_size} cannot be divided{packs} between {world_size()} processes: use a multiple of {least}"
        )


def describe(config: TrainConfig, images: ImageData) -> str:
    """The plan of a training, as a few lines of text: data, classes, networks, steps, run folder, measures."""
    networks = state.build(config, torch.device("cpu")).networks()
    sizes = {name: sum(parameter.numel() for parameter in network.parameters()) for name, network in networks.items()}
    count, height, width, channels = images.images.shape
    epochs = _seen(config) / count
    lines = [
        f"data      {count:,} {'image' if count == 1 else 'images'} of {height}x{width}x{channels} from {config.data} "
        f"({images.images.nbytes / 2**20:,.1f} MiB in memory)",
        *_describe_classes(config, images),
        f"networks  generator {sizes['generator']:,} parameters, discriminator {sizes['discriminator']:,}",
        f"training  {config.preset}: {config.steps:,} steps of {config.batch_size} images ({epochs:,.1f} epochs), "
        f"{config.precision} on {config.device}, {config.threads} threads"
        + (f" in each of {world_size()} processes" if world_size() > 1 else ""),
        f"run       {config.out}",
        f"measures  {best_kid.plan(config, count)}",
    ]
    if config.preset == "dcgan" and config.conditional and channels == 1 and _seen(config) >= _LONG_IMAGES:
        lines.append(
            "advice    to train classifiers on grey images, --preset rpgan is better from 40 minutes of one core on (28 px)"
        )
    if count < _FEW_IMAGES and not config.diffaugment:
        lines.append("advice    few images: add --diffaugment, so that D does not learn them by heart")
    if held_out_of(count) < config.pack:
        lines.append("measures  no value function and no JSD: too few images to hold some out of training")
    return "\n".join(map(printable, lines))


def _seen(config: TrainConfig) -> int:
    """Real images that D sees in the whole training."""
    return config.steps * config.images_per_step


def _describe_classes(config: TrainConfig, images: ImageData) -> list[str]:
    if images.labels is None or not images.class_names:
        return [f"classes   none: {images.why_no_classes}"] if images.why_no_classes else []
    counts = np.bincount(images.labels, minlength=len(images.class_names))
    named = zip(images.class_names[:_SHOWN_CLASSES], counts, strict=False)
    classes = ", ".join(f"{printable(name)} {number:,}" for name, number in named)
    more = ", ..." if len(counts) > _SHOWN_CLASSES else ""
    use = "learned" if config.conditional else "not learned: add --conditional to learn them"
    remarks = remarks_on_numbers(images.class_names) if config.conditional else ()
    return [f"classes   {len(counts)} ({use}): {classes}{more}", *(f"classes   {remark}" for remark in remarks)]


class _Progress:
    """A progress bar on a terminal; elsewhere one printed line per line of ``stats.jsonl``."""

    def __init__(self, config: TrainConfig, console: Console) -> None:
        self._console, self._config = console, config
        words = TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
        columns = (BarColumn(10), MofNCompleteColumn(table_column=Column(no_wrap=True)), words)
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> "_Progress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, line: Line) -> None:
        step, words = line["step"], f"{self._left(line)} left, {in_words(line)}"
        # the bar begins with the first line: where a continued run began is not known before
        if not self._progress.tasks:
            self._progress.add_task(words, total=self._config.steps, completed=step)
        self._progress.update(self._progress.task_ids[0], completed=step, description=words)
        if not self._console.is_terminal:
            self._console.print(f"step {step:,}/{self._config.steps:,}  {words}")

    def _left(self, line: Line) -> timedelta:
        images = (self._config.steps - line["step"]) * self._config.images_per_step
        return timedelta(seconds=round(images / max(line["images_per_second"], 0.1)))
