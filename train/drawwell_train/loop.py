"""Training, from a resolved configuration to a finished run folder."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from drawwell.errors import DrawwellError, StoppedError
from drawwell.latents import latents
from drawwell.pictures import Images
from drawwell_train import checkpoint
from drawwell_train import state as states
from drawwell_train.batches import Batches
from drawwell_train.checkpoint import Checkpoint
from drawwell_train.config import TrainConfig, images_per_step, recipe_of
from drawwell_train.identity import differences
from drawwell_train.images import ImageData
from drawwell_train.networks import to_pixels
from drawwell_train.run import Run, RunError
from drawwell_train.state import TrainState
from drawwell_train.steps import Stats, train_step

Report = Callable[[dict[str, float | int]], None]
Say = Callable[[str], None]

_SHEET_IMAGES = 64
_SHEET_SEED = 0


class DivergedError(DrawwellError):
    """A loss or a weight became NaN or infinite."""


def train(config: TrainConfig, data: ImageData, run: Run, report: Report, say: Say) -> TrainState:
    """Train, or continue, until ``config.steps``. The caller holds the run's lock."""
    device = torch.device(config.device)
    state = states.build(config, device)
    _resume(state, config, run, say)
    real = Batches(data, config, device, state.step * recipe_of(config).d_steps)
    ticks = _Ticks(state.step)
    if state.step >= config.steps:
        say(f"there is nothing left to do: {run.path} has {state.step:,} steps, {config.steps:,} were asked for")
    with _stop_requested() as stop:
        while state.step < config.steps:
            ticks.add(_checked(train_step(state, config, real.next), state, run))
            stopping = bool(stop)  # looked at once: a signal from here on belongs to the next step
            last = state.step == config.steps or stopping
            if state.step % config.log_every == 0 or last:
                record = ticks.summary(state.step, config)
                run.append_stats(record)
                report(record)
            if state.step % config.sample_every == 0 or last:
                run.save_sheet(_sample(state, config), state.step)
            if state.step % config.save_every == 0 or last:
                _save(state, config, run)
            if stopping:
                raise StoppedError(f"stopped and saved at step {state.step:,}; the same command continues it")
    return state


def _resume(state: TrainState, config: TrainConfig, run: Run, say: Say) -> None:
    found, damaged = checkpoint.load_latest(run.checkpoints)
    if found and (changed := differences(found.config, config)):
        raise RunError(
            f"{run.path}: holds a run with other options ({'; '.join(changed)}): name another folder with --out"
        )
    run.write_config(config)
    for sentence in damaged:
        say(f"damaged checkpoint passed over: {sentence}")
    step = found.step if found else 0
    if found:
        states.restore(state, found.tensors, step)
        say(f"continuing {run.path} at step {step:,}")
    checkpoint.discard_after(run.checkpoints, step)
    run.truncate_stats(step)


def _save(state: TrainState, config: TrainConfig, run: Run) -> Path:
    tensors = states.to_tensors(state)
    if not states.all_finite(tensors):
        raise _diverged(state, run)
    return checkpoint.save(run.checkpoints, Checkpoint(state.step, config, tensors), config.keep)


def _checked(stats: Stats, state: TrainState, run: Run) -> Stats:
    if not all(value.isfinite() for value in stats.values()):
        raise _diverged(state, run)
    return stats


def _diverged(state: TrainState, run: Run) -> DivergedError:
    return DivergedError(
        f"NaN or infinity at step {state.step:,}: training stopped, and the last good checkpoint is kept in {run.checkpoints}. "
        "A lower --learning-rate in another run folder, or --precision float32, usually helps"
    )


@torch.no_grad()
def _sample(state: TrainState, config: TrainConfig) -> Images:
    """The same addresses every time, drawn as the exported generator would draw them."""
    prior, classes = recipe_of(config).prior, len(config.class_names)
    address = _SHEET_SEED, range(_SHEET_IMAGES)
    z = torch.from_numpy(latents(*address, config.latent_dim, prior)).to(config.device)
    label = torch.arange(_SHEET_IMAGES, device=config.device) % classes if classes else None  # a class in each column
    images: Images = to_pixels(state.averaged(z, label), state.averaged.lowest).cpu().numpy()
    return images


class _Ticks:
    """Means of the steps since the last line of ``stats.jsonl``."""

    def __init__(self, step: int) -> None:
        self._begin(step)

    def _begin(self, step: int) -> None:
        self._step, self._time, self._sums = step, time.perf_counter(), dict[str, Tensor]()

    def add(self, stats: Stats) -> None:
        self._sums = {name: self._sums.get(name, 0) + value for name, value in stats.items()}

    def summary(self, step: int, config: TrainConfig) -> dict[str, float | int]:
        steps, seconds = step - self._step, time.perf_counter() - self._time
        means = {name: round(float(total) / steps, 5) for name, total in self._sums.items()}
        self._begin(step)
        per_second = steps * images_per_step(config) / seconds
        return {
            "step": step,
            "images": step * images_per_step(config),
            "images_per_second": round(per_second, 1),
            **means,
        }


@contextmanager
def _stop_requested() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that the step under way is finished and saved before the process ends."""
    received: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: received.append(number)) for number in signals]
    try:
        yield received
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
