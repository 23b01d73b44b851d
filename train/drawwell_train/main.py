"""`drawwell train`: options in, a finished run folder out."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Literal, cast

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column

from drawwell import terminal
from drawwell.engine.cores import cores
from drawwell.errors import DrawwellError, StoppedError
from drawwell.text import printable
from drawwell_train import distributed as processes
from drawwell_train.config import TrainConfig, complete, images_per_step, recipe_of
from drawwell_train.data import dataset as data
from drawwell_train.data.classes import is_text, numbered_as, remarks_on_numbers
from drawwell_train.data.images import ImageData
from drawwell_train.distributed import Processes
from drawwell_train.loop import CollapsedError, DivergedError, check_continues, train
from drawwell_train.monitor import best_kid as best
from drawwell_train.monitor import curves, tensorboard
from drawwell_train.monitor.ticks import Line, in_words
from drawwell_train.presets import STD_GROUP
from drawwell_train.run.checkpoint import newest_config
from drawwell_train.run.listeners import Listeners
from drawwell_train.run.run import Run
from drawwell_train.step import state
from drawwell_train.step.batches import held_out_of


def main(config: TrainConfig) -> None:
    """Train what ``config`` says. Raises ``DrawwellError`` with a sentence for whatever is the user's to mend."""
    console, all_of_us = terminal.console(), processes.started()
    console.quiet = not all_of_us.first
    if sys.stderr is not None:  # as it is where it was closed
        console.file = cast(IO[str], Listeners(sys.stderr))
    data.find(config.data)
    config = resolve_options(config)
    _check_apart(config)
    _check_shares(config, all_of_us)
    if config.tensorboard:
        tensorboard.check_installed()
    assert config.out is not None, "the options are resolved"
    run = Run(config.out)
    # before the data is loaded, which may take minutes
    with run.locked() if all_of_us.first and not config.dry_run else nullcontext():
        before = newest_config(run.checkpoints)
        if before is not None:
            check_continues(run, before, _with_data_of(before, config))
        images = _load(config, before)
        config = resolve(config, images)
        _tell(config, images, all_of_us, console)
        if not config.dry_run:
            _train(config, images, run, all_of_us, console)


def _load(config: TrainConfig, before: TrainConfig | None) -> ImageData:
    """The data, its classes numbered as those of the run that it continues."""
    limits = data.Limits(config.max_bad, config.max_megapixels)
    images = data.load(config.data, config.size, config.channels, recipe_of(config).sizes, limits=limits)
    known = numbered_as(images, before.class_names) if before is not None and config.conditional else None
    return images if known is None else known


def _tell(config: TrainConfig, images: ImageData, all_of_us: Processes, console: Console) -> None:
    for sentence in images.skipped:
        console.print(f"skipped {printable(sentence)}")
    if images.skipped:
        console.print(f"skipped {len(images.skipped):,} bad files of {len(images.skipped) + len(images.images):,}")
    for sentence in images.remarks:
        console.print(printable(sentence))
    with _memory_errors():
        console.print(describe(config, images, all_of_us.count))


def _train(config: TrainConfig, images: ImageData, run: Run, all_of_us: Processes, console: Console) -> None:
    assert config.threads is not None, "the configuration is resolved"
    torch.set_num_threads(config.threads)
    with all_of_us.joined(config.device), _memory_errors(), _Progress(config, console) as progress:
        try:
            finished = train(config, images, run, progress.show, console.print, all_of_us)
        except (StoppedError, CollapsedError, DivergedError):
            _draw_curves(run, all_of_us)
            raise
        console.print(f"done: {finished.step:,} steps; weights {state.digest(state.to_tensors(finished))}")
        _draw_curves(run, all_of_us)
    console.print(
        f"see {run.path}/curves.png and {run.path}/samples; next: drawwell export {shlex.quote(str(run.path))}"
    )


def _draw_curves(run: Run, all_of_us: Processes) -> None:
    if all_of_us.first:
        curves.draw(run)


@contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate" not in str(error):
            raise
        raise DrawwellError(f"not enough memory, try a smaller --width or --batch-size ({error})") from error


def resolve(config: TrainConfig, images: ImageData) -> TrainConfig:
    """Put numbers in place of every default that depends on the data or on the machine."""
    return replace(
        resolve_options(config),
        data_sha256=images.sha256(config.conditional),
        size=images.images.shape[1],
        channels=images.images.shape[3],
        class_names=_class_names(config, images),
    )


def resolve_options(config: TrainConfig) -> TrainConfig:
    """Put numbers in place of every default that depends on the machine alone. Raises ``DrawwellError`` for what cannot be had here."""
    data_path = config.data if config.data == "digits" else str(Path(config.data).expanduser().resolve())
    name = config.name or Path(data_path).name.lstrip(".").split(".")[0]
    resolved = replace(
        complete(config),
        data=data_path,
        name=name,
        out=config.out or _default_out(name),
        device=(device := _device(config)),
        precision=_precision(config, device),
        threads=config.threads or max(1, cores() // processes.on_this_machine()),
    )
    _check_card(resolved)
    return resolved


def _default_out(name: str) -> Path:
    runs = Path("runs")
    out = runs / name
    if out.resolve() == runs.resolve() or not out.resolve().is_relative_to(runs.resolve()):
        raise DrawwellError(f"{name!r} names no folder below {runs}/: name the run folder with --out")
    return out


def _check_card(config: TrainConfig) -> None:
    """Now, and not when the trained generator is exported."""
    texts = {"--name": config.name, "--license": config.license, "the name of the data": Path(config.data).name}
    for what, text in texts.items():
        if not is_text(text):
            raise DrawwellError(f"{what}, {text!r}, is not UTF-8, so that no card can hold it: rename it")


def _with_data_of(before: TrainConfig, config: TrainConfig) -> TrainConfig:
    """``config`` as if the data were that of the run which began with ``before``: what else differs is known without loading it."""
    size, channels = config.size or before.size, config.channels or before.channels
    names = before.class_names if config.conditional else ()
    return replace(config, size=size, channels=channels, class_names=names, data_sha256=before.data_sha256)


def _class_names(config: TrainConfig, images: ImageData) -> tuple[str, ...]:
    if not config.conditional:
        return ()
    if images.labels is None or not images.class_names:
        why = images.why_no_classes or "sort the images into a sub-folder for each, or write labels.csv"
        raise DrawwellError(f"--conditional: the data has no classes: {why}")
    return images.class_names


def _check_apart(config: TrainConfig) -> None:
    """A run inside its own data would be read as pictures the next time."""
    out, data_path = Path(config.out or "").resolve(), Path(config.data)
    if data_path.is_dir() and out.is_relative_to(data_path):
        raise DrawwellError(f"the run folder {out} lies in the data {data_path}: name another one with --out")


def _check_shares(config: TrainConfig, all_of_us: Processes) -> None:
    batch_size = recipe_of(config).batch_size
    least = all_of_us.count * config.pack * (STD_GROUP if config.minibatch_std else 1)
    if batch_size % least:
        packs = f", in packs of {config.pack}," if config.pack > 1 else ""
        raise DrawwellError(
            f"--batch-size {batch_size} cannot be shared{packs} by {all_of_us.count} processes: take a multiple of {least}"
        )


def _device(config: TrainConfig) -> Literal["cpu", "cuda"]:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise DrawwellError("--device cuda: torch finds no CUDA device here; --device cpu trains without one")
    device: Literal["cpu", "cuda"] = "cpu" if config.device == "cpu" or not torch.cuda.is_available() else "cuda"
    wanted, there = processes.on_this_machine(), torch.cuda.device_count()
    if device == "cuda" and wanted > there:
        raise DrawwellError(
            f"{wanted} processes on this machine need a CUDA device each, and there are {there}: start {there} with "
            "torchrun --nproc-per-node, or use --device cpu"
        )
    return device


def _precision(config: TrainConfig, device: str) -> Literal["float32", "bfloat16"]:
    if config.precision == "auto":
        return "bfloat16" if _multiplies_bfloat16(device) else "float32"
    return config.precision


def _multiplies_bfloat16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def describe(config: TrainConfig, images: ImageData, process_count: int = 1) -> str:
    """What is about to happen, in a few lines."""
    networks = state.build(config, torch.device("cpu")).networks()
    sizes = {name: sum(parameter.numel() for parameter in network.parameters()) for name, network in networks.items()}
    count, height, width, channels = images.images.shape
    epochs = config.steps * images_per_step(config) / count
    lines = [
        f"data      {count:,} images of {height}x{width}x{channels} from {config.data} ({images.images.nbytes / 2**20:,.0f} MiB in memory)",
        f"networks  generator {sizes['generator']:,} parameters, discriminator {sizes['discriminator']:,}",
        f"training  {config.preset}: {config.steps:,} steps of {recipe_of(config).batch_size} ({epochs:,.1f} epochs), "
        f"{config.precision} on {config.device}, {config.threads} threads"
        + (f" in each of {process_count} processes" if process_count > 1 else ""),
        f"run       {config.out}",
        f"measures  {best.plan(config, count)}",
    ]
    if held_out_of(count) < config.pack:
        lines.append("measures  without value function and JSD: so few images spare none that D does not learn from")
    if images.labels is not None and images.class_names:
        counts = np.bincount(images.labels, minlength=len(images.class_names))
        classes = ", ".join(
            f"{printable(name)} {number:,}" for name, number in list(zip(images.class_names, counts, strict=True))[:12]
        )
        learned = "learned" if config.conditional else "not learned: --conditional does that"
        lines.insert(1, f"classes   {len(counts)} ({learned}): {classes}{', ...' if len(counts) > 12 else ''}")
        if config.conditional:
            lines[2:2] = [f"classes   {sentence}" for sentence in remarks_on_numbers(images.class_names)]
    elif images.why_no_classes:
        lines.insert(1, f"classes   none: {images.why_no_classes}")
    return "\n".join(map(printable, lines))


class _Progress:
    """A live line on a terminal, one line a tick elsewhere."""

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
        if not self._progress.tasks:  # only now it is known where a continued run began
            self._progress.add_task(words, total=self._config.steps, completed=step)
        self._progress.update(self._progress.task_ids[0], completed=step, description=words)
        if not self._console.is_terminal:
            self._console.print(f"step {step:,}/{self._config.steps:,}  {words}")

    def _left(self, line: Line) -> timedelta:
        images = (self._config.steps - line["step"]) * images_per_step(self._config)
        return timedelta(seconds=round(images / max(line["images_per_second"], 0.1)))
