"""`make results`: train what is missing, measure it, and write the tables, in order and within a budget of time.

Runs live in ``runs/results`` and go on where they stopped, also after an interruption. A run that the budget cuts off is
measured as it is, with the images that it saw, and goes on the next time. What is published of a longer training stays.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import filelock
import torch

from benchmarks.quality import plain, tables
from benchmarks.quality.experiments import RUNS, Experiment, experiments, prepare
from benchmarks.quality.measuring import last_step, measure, steps_of
from benchmarks.quality.results import read
from drawwell.engine.cores import cores
from drawwell.errors import DrawwellError

_STOPPED = 130
_measuring = threading.Lock()
"""One measurement at a time, next to the trainings: measurements share the features of the real images."""
_over = threading.Event()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder with mnist, fashion-mnist, cifar-10-batches-bin, twemoji64"
    )
    parser.add_argument(
        "--minutes", type=float, default=600, help="time for trainings; measuring takes additional time"
    )
    parser.add_argument(
        "--workers", type=int, default=cores(), help="number of trainings at the same time, with one thread each"
    )
    parser.add_argument("--only", nargs="*", help="run only experiments whose names begin with one of these")
    options = parser.parse_args()
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    deadline = time.monotonic() + 60 * options.minutes
    try:
        prepare(options.data)
        with filelock.FileLock(RUNS / ".lock", blocking=False):
            _make(options, deadline)
    except filelock.Timeout as error:
        raise SystemExit(f"{RUNS}: results are being made already") from error
    except DrawwellError as error:
        raise SystemExit(str(error)) from error


def _make(options: argparse.Namespace, deadline: float) -> None:
    chosen = [one for one in experiments() if not options.only or one.name.startswith(tuple(options.only))]
    with ThreadPoolExecutor(options.workers) as pool:
        trainings, mixtures = ([one for one in chosen if bool(one.mixture_of) is joined] for joined in (False, True))
        futures = [pool.submit(carry_out, one, options.data, deadline) for one in trainings]
        try:
            failed = _failures(trainings, futures)
            futures = [
                pool.submit(carry_out, one, options.data, deadline) for one in mixtures
            ]  # of what was trained now
            failed += _failures(mixtures, futures)
        except KeyboardInterrupt:
            _over.set()  # the trainings stop and save, and nothing else begins
            pool.shutdown(cancel_futures=True)
            raise
    if not options.only or any("plain".startswith(name) for name in options.only):
        plain.carry_out(options.data, deadline)
    tables.update()
    if failed:
        raise DrawwellError("\n".join(failed))


def _failures(chosen: Sequence[Experiment], futures: Sequence[Future[None]]) -> list[str]:
    errors = [future.exception() for future in futures]
    return [f"{one.name}: {type(error).__name__}: {error}" for one, error in zip(chosen, errors, strict=True) if error]


def carry_out(experiment: Experiment, root: Path, deadline: float) -> None:
    """Train as far as there is time, and measure what goes further than what is published."""
    known = read(experiment.name)
    published = known["steps"] if known else 0
    if published < experiment.steps and time.monotonic() < deadline and last_step(*experiment.runs) < experiment.steps:
        train(experiment, root, deadline)
    with _measuring:
        if not _over.is_set() and steps_of(experiment) > published:
            measure(experiment, root)
            tables.update()


def train(experiment: Experiment, root: Path, deadline: float) -> None:
    """Run `drawwell train` until it is done or the time is over. Raises ``DrawwellError`` with the end of its output where it fails."""
    command = [sys.executable, "-m", "drawwell", *experiment.command(root)]
    print(f"{experiment.name}: {experiment.pasted(root)}", flush=True)
    log = RUNS / f"{experiment.name}.log"
    with log.open("ab") as output:
        training = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "OMP_NUM_THREADS": "1"})
        while training.poll() is None and time.monotonic() < deadline and not _over.is_set():
            time.sleep(0.2)
        if training.poll() is None:
            training.send_signal(signal.SIGTERM)
        training.wait()
    if training.returncode not in (0, _STOPPED):
        raise DrawwellError(log.read_text()[-500:])


if __name__ == "__main__":
    main()
