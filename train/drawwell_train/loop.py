"""Training, from a resolved configuration to a finished run folder."""

import math
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch

from drawwell.addresses.latents import latents
from drawwell.errors import DrawwellError, StoppedError
from drawwell.generator import Images
from drawwell_train.config import TrainConfig
from drawwell_train.data.images import ImageData
from drawwell_train.distributed import all_equal, any_true, barrier, broadcast, is_first, world_size
from drawwell_train.monitor.best_kid import Kid
from drawwell_train.monitor.conditions import NAN, NAN_ADVICE, Watch
from drawwell_train.monitor.measures import Measures
from drawwell_train.monitor.tensorboard import board
from drawwell_train.monitor.ticks import Line, Ticks
from drawwell_train.networks.base import to_pixels
from drawwell_train.run import checkpoint, identity
from drawwell_train.run.checkpoint import Checkpoint, Say
from drawwell_train.run.identity import differences
from drawwell_train.run.run_folder import Run, RunError
from drawwell_train.step import state as states
from drawwell_train.step.batches import Batches
from drawwell_train.step.state import TrainState
from drawwell_train.step.steps import train_step

Report = Callable[[Line], None]

_SHEET_SEED, _SHEET_IMAGES = 0, 64
_SIGNAL_STEPS = 50
"""Steps between two looks for a signal in another process: a second or so on a device."""


class DivergedError(DrawwellError):
    """A loss, a weight or a measure became NaN or infinite."""


class CollapsedError(DrawwellError):
    """The generator draws only a few different images, and ``on_collapse`` is ``stop``."""


def train(config: TrainConfig, data: ImageData, run: Run, report: Report, say: Say) -> TrainState:
    """Train, or continue, until ``config.steps``.

    Args:
        config: the resolved configuration.
        data: the images.
        run: the run folder, whose lock the caller holds. Only the first process writes into it.
        report: takes every line of ``stats.jsonl``.
        say: takes sentences for the user.

    Returns:
        The state after the last step.

    Raises:
        StoppedError: a signal asked to stop; the state is saved.
        CollapsedError: mode collapse, where the configuration says to stop; the state is saved.
        DivergedError: NaN or infinity; the checkpoint before it is kept.
        RunError: the run folder holds another run.
    """
    device = torch.device(config.device)
    state = states.build(config, device)
    _resume(state, config, run, say)
    if state.step >= config.steps:
        say(
            f"nothing left to do: {run.path} has {state.step:,} steps, and --steps is {config.steps:,}; give more --steps to go on"
        )
        return state
    real = Batches(data, config, device, state.step * config.d_steps)
    kid = Kid(config, len(data.images), real)
    ticks = Ticks(config, Measures(config, real), kid, Watch(config.loss, run.stats()), state.step)
    collapsed = False
    with (
        board(config.tensorboard and is_first(), run.path / "tensorboard", state.step) as show,
        _stop_requested() as stop,
    ):
        while state.step < config.steps:
            ticks.add(train_step(state, config, real.next))
            logged = state.step % config.log_every == 0 or kid.due(state.step) or state.step == config.steps
            saved = state.step % config.save_every == 0 or kid.due(state.step)
            # a signal from here on belongs to the next step
            stopping = _stopping(bool(stop), state.step, logged or saved, device)
            last = state.step == config.steps or stopping
            measured = None
            if logged or last:
                measured = _log(ticks, state, run, (run.append_stats, report, show), say)
                last |= (collapsed := broadcast(ticks.collapsed) and config.on_collapse == "stop")
            if is_first() and (state.step % config.sample_every == 0 or last):
                run.save_sheet(_sample(state, config), state.step)
            if saved or last:
                _save(state, config, run, say, measured)
            if stopping:
                raise StoppedError(f"stopped and saved at step {state.step:,}; run the same command to continue")
            if collapsed:
                raise CollapsedError(
                    f"stopped and saved at step {state.step:,} because of --on-collapse stop; continue with --on-collapse warn"
                )
    return state


def _log(ticks: Ticks, state: TrainState, run: Run, writers: Iterable[Report], say: Say) -> float | None:
    """Write a line. Returns its KID, if it was measured. Raises ``DivergedError`` if a number since the line before is not finite."""
    means = ticks.sync_stats()
    if not _finite(means):
        raise _diverged(state, run)
    line, sentences = ticks.line(state, means)
    if not broadcast(_finite(line)):
        raise _diverged(state, run)
    for write in writers if is_first() else ():
        write(line)
    for sentence in sentences:
        say(sentence)
    return line.get("kid")


def _resume(state: TrainState, config: TrainConfig, run: Run, say: Say) -> None:
    """Restore the newest whole checkpoint, if there is one, and remove what lies beyond it."""
    found, damaged = checkpoint.load_latest(run.checkpoints)
    if found:
        check_continues(run, found.config, config)
    if not all_equal((found.step if found else 0, identity.digest(config))):
        raise RunError(
            f"{run.path}: the processes find different data or checkpoints; let all of them see the same folders"
        )
    for sentence in damaged:
        say(f"damaged checkpoint skipped: {sentence}")
    step = found.step if found else 0
    if found:
        states.restore(state, found.tensors, step)
        say(f"continuing {run.path} at step {step:,}")
    if is_first():
        run.write_config(config)
        checkpoint.discard_after(run.checkpoints, step)
        if strange := run.truncate_stats(step):
            say(f"stats.jsonl: {strange} damaged lines removed")
    barrier()  # the other processes read these files


def check_continues(run: Run, before: TrainConfig, config: TrainConfig) -> None:
    """Raise ``RunError`` if ``config`` cannot continue the run that began with ``before``."""
    if changed := differences(before, config):
        raise RunError(
            f"{run.path}: holds a run with other options ({'; '.join(changed)}): give the options of this run to continue it, "
            "or name another folder with --out"
        )


def _save(state: TrainState, config: TrainConfig, run: Run, say: Say, kid: float | None = None) -> None:
    tensors = states.to_tensors(state)
    if not states.all_finite(tensors):
        raise _diverged(state, run)
    if is_first():
        saved = Checkpoint(state.step, config, tensors, kid)
        checkpoint.save(
            run.checkpoints, saved, config.keep, lambda damage: say(f"damaged checkpoint skipped: {damage}")
        )
    barrier()  # no process may end, and with it the training, while another one writes


def _stopping(stop: bool, step: int, due: bool, device: torch.device) -> bool:
    """Whether any process received a signal to stop; all then stop at the same step.

    On processors every step asks the other processes. On devices, where asking makes each wait for the others, only steps that are
    ``due`` and every ``_SIGNAL_STEPS``-th: often enough for torchrun, which kills 30 s after a signal.
    """
    ask = world_size() == 1 or due or device.type == "cpu" or step % _SIGNAL_STEPS == 0
    return ask and any_true(stop)


def _finite(line: Line) -> bool:
    return all(math.isfinite(value) for value in line.values() if isinstance(value, float))


def _diverged(state: TrainState, run: Run) -> DivergedError:
    if is_first():
        run.append_stats({"step": state.step, "conditions": [NAN]})
    return DivergedError(
        f"NaN or infinity at step {state.step:,} or shortly before: training stopped. The last good checkpoint is in "
        f"{run.checkpoints}. {NAN_ADVICE}"
    )


@torch.no_grad()
def _sample(state: TrainState, config: TrainConfig) -> Images:
    """Images of fixed addresses, uint8 ``[N, S, S, C]``, drawn by the EMA generator; of each class in turn."""
    classes = len(config.class_names)
    z = torch.from_numpy(latents(_SHEET_SEED, range(_SHEET_IMAGES), config.latent_dim, config.prior)).to(config.device)
    label = torch.arange(_SHEET_IMAGES, device=config.device) % classes if classes else None
    images: Images = to_pixels(state.ema(z, label), state.ema.lowest).cpu().numpy()
    return images


@contextmanager
def _stop_requested() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP, so that the current step is finished and saved before the process ends. A second SIGINT
    raises ``KeyboardInterrupt`` at once.
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
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it, and goes on
        yield signal.SIGHUP
