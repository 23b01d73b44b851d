"""Training, from a resolved configuration to a finished run folder."""

import math
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch

from drawwell.addresses.latents import latents
from drawwell.errors import DrawwellError, StoppedError
from drawwell.generator import Images
from drawwell_train.config import TrainConfig, recipe_of
from drawwell_train.data.images import ImageData
from drawwell_train.distributed import ALONE, Processes
from drawwell_train.monitor.best_kid import Kid
from drawwell_train.monitor.conditions import NAN, Watch
from drawwell_train.monitor.measures import Measures
from drawwell_train.monitor.tensorboard import board
from drawwell_train.monitor.ticks import Line, Ticks
from drawwell_train.networks.networks import to_pixels
from drawwell_train.run import checkpoint, identity
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.run.identity import differences
from drawwell_train.run.run import Run, RunError
from drawwell_train.step import state as states
from drawwell_train.step.batches import Batches
from drawwell_train.step.state import TrainState
from drawwell_train.step.steps import train_step

Report = Callable[[Line], None]
Say = Callable[[str], None]

_SHEET_IMAGES = 64
_LOOK_STEPS = 50
"""On a device a second or so."""
_SHEET_SEED = 0


class DivergedError(DrawwellError):
    """A loss, a weight or a measure became NaN or infinite."""


class CollapsedError(DrawwellError):
    """The generator draws only a few different images, and the user wants no more of that."""


def train(
    config: TrainConfig, data: ImageData, run: Run, report: Report, say: Say, processes: Processes = ALONE
) -> TrainState:
    """Train, or continue, until ``config.steps``. The caller holds the run's lock; only the first process writes."""
    device = torch.device(config.device)
    state = states.build(config, device, processes)
    _resume(state, config, run, say, processes)
    if state.step >= config.steps:
        say(f"there is nothing left to do: {run.path} has {state.step:,} steps, {config.steps:,} were asked for")
        return state
    real = Batches(data, config, device, state.step * recipe_of(config).d_steps, processes)
    kid = Kid(config, len(data.images), real, processes)
    ticks = Ticks(config, Measures(config, real), kid, Watch(recipe_of(config).loss, run.stats()), state.step)
    collapsed = False
    with (
        board(config.tensorboard and processes.first, run.path / "tensorboard", state.step) as show,
        _stop_requested() as stop,
    ):
        while state.step < config.steps:
            ticks.add(train_step(state, config, real.next, processes))
            logged = state.step % config.log_every == 0 or kid.due(state.step) or state.step == config.steps
            saved = state.step % config.save_every == 0 or kid.due(state.step)
            stopping = _stopping(
                bool(stop), state.step, logged or saved, device, processes
            )  # a signal from here on belongs to the next step
            last = state.step == config.steps or stopping
            measured = None
            if logged or last:
                measured = _log(ticks, state, run, (run.append_stats, report, show), say, processes)
                last |= (collapsed := processes.first_says(ticks.collapsed) and config.on_collapse == "stop")
            if processes.first and (state.step % config.sample_every == 0 or last):
                run.save_sheet(_sample(state, config), state.step)
            if saved or last:
                _save(state, config, run, say, processes, measured)
            if stopping:
                raise StoppedError(f"stopped and saved at step {state.step:,}; the same command continues it")
            if collapsed:
                raise CollapsedError(
                    f"stopped and saved at step {state.step:,}, as --on-collapse stop says; --on-collapse warn goes on"
                )
    return state


def _log(
    ticks: Ticks, state: TrainState, run: Run, writers: Iterable[Report], say: Say, processes: Processes
) -> float | None:
    """Write a line, and return its KID where it has one. Raises ``DivergedError`` where a step since the last one was not finite."""
    means = ticks.means(processes)
    if not _finite(means):
        raise _diverged(state, run, processes)
    line, sentences = ticks.line(state, means)
    if not processes.first_says(_finite(line)):
        raise _diverged(state, run, processes)
    for write in writers if processes.first else ():
        write(line)
    for sentence in sentences:
        say(sentence)
    return line.get("kid")


def _resume(state: TrainState, config: TrainConfig, run: Run, say: Say, processes: Processes = ALONE) -> None:
    found, damaged = checkpoint.load_latest(run.checkpoints)
    if found:
        check_continues(run, found.config, config)
    if not processes.agree((found.step if found else 0, identity.digest(config))):
        raise RunError(
            f"{run.path}: not every process finds the same data and checkpoints: all must see the same folders"
        )
    for sentence in damaged:
        say(f"damaged checkpoint passed over: {sentence}")
    step = found.step if found else 0
    if found:
        states.restore(state, found.tensors, step)
        say(f"continuing {run.path} at step {step:,}")
    if processes.first:
        run.write_config(config)
        checkpoint.discard_after(run.checkpoints, step)
        if strange := run.truncate_stats(step):
            say(f"stats.jsonl: {strange} damaged lines dropped")
    processes.wait()  # the others read these


def check_continues(run: Run, before: TrainConfig, config: TrainConfig) -> None:
    """Raise ``RunError`` where ``config`` would not go on with the run that began with ``before``."""
    if changed := differences(before, config):
        raise RunError(
            f"{run.path}: holds a run with other options ({'; '.join(changed)}): name another folder with --out"
        )


def _save(
    state: TrainState, config: TrainConfig, run: Run, say: Say, processes: Processes = ALONE, kid: float | None = None
) -> None:
    tensors = states.to_tensors(state)
    if not states.all_finite(tensors):
        raise _diverged(state, run, processes)
    if processes.first:
        saved = Checkpoint(state.step, config, tensors, kid)
        checkpoint.save(
            run.checkpoints, saved, config.keep, lambda damage: say(f"damaged checkpoint passed over: {damage}")
        )
    processes.wait()  # none ends the training of all while it is written


def _stopping(stop: bool, step: int, due: bool, device: torch.device, processes: Processes) -> bool:
    """Whether any process is to stop, so that all do at the same step.

    Processors look at every step. Devices look when it is ``due`` and every ``_LOOK_STEPS`` steps: a message would have each wait
    for the other, and torchrun kills after 30 s what was told to stop.
    """
    look = processes.count == 1 or due or device.type == "cpu" or step % _LOOK_STEPS == 0
    return look and processes.any(stop)


def _finite(line: Line) -> bool:
    return all(math.isfinite(value) for value in line.values() if isinstance(value, float))


def _diverged(state: TrainState, run: Run, processes: Processes) -> DivergedError:
    if processes.first:
        run.append_stats({"step": state.step, "conditions": [NAN]})
    return DivergedError(
        f"NaN or infinity at step {state.step:,}, or since the line before it: training stopped, and the last good checkpoint is "
        f"kept in {run.checkpoints}. "
        "A lower --learning-rate in another run folder, or --precision float32, usually helps; so do smaller --r1 and --r2"
    )


@torch.no_grad()
def _sample(state: TrainState, config: TrainConfig) -> Images:
    """The same addresses every time, drawn as the exported generator would draw them."""
    prior, classes = recipe_of(config).prior, len(config.class_names)
    address = _SHEET_SEED, range(_SHEET_IMAGES)
    z = torch.from_numpy(latents(*address, config.latent_dim, prior)).to(config.device)
    label = torch.arange(_SHEET_IMAGES, device=config.device) % classes if classes else None  # each in turn
    images: Images = to_pixels(state.averaged(z, label), state.averaged.lowest).cpu().numpy()
    return images


@contextmanager
def _stop_requested() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP, so that the step under way is finished and saved before the process ends. A second SIGINT
    ends it at once: raises ``KeyboardInterrupt``.
    """
    received: list[int] = []

    def handle(number: int, _: object) -> None:
        if number == signal.SIGINT and number in received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, handle) for number in _signals()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signals() -> Iterator[int]:
    yield from (signal.SIGINT, signal.SIGTERM)
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:  # as nohup wants it
        yield hangup
