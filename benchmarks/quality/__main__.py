"""`make results`: train what is missing, measure it, and write the tables, in order and within a budget of time.

Runs live in ``runs/results`` and go on where they stopped. A run that the budget cuts off is measured as it is, with the
images that it saw, and goes on the next time.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.quality import plain, tables
from benchmarks.quality.experiments import Experiment, experiments, prepare
from benchmarks.quality.measuring import last_step, measure
from benchmarks.quality.results import read
from drawwell.cores import cores
from drawwell.errors import DrawwellError

_STOPPED = 130
_evaluating = threading.Lock()
"""One evaluation at a time: each is a process of one thread beside the trainings, and shares what is known of the real images."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder with mnist, fashion-mnist, cifar-10-batches-bin, twemoji64"
    )
    parser.add_argument("--minutes", type=float, default=600, help="for trainings; measures come on top")
    parser.add_argument("--workers", type=int, default=cores(), help="trainings at once, of one thread each")
    parser.add_argument("--only", nargs="*", help="experiments whose names begin so")
    options = parser.parse_args()
    torch.set_num_threads(1)
    deadline = time.monotonic() + 60 * options.minutes
    prepare(options.data)
    wanted = [one for one in experiments() if not options.only or one.name.startswith(tuple(options.only))]
    with ThreadPoolExecutor(options.workers) as pool:
        done = [pool.submit(carry_out, one, options.data, deadline) for one in wanted]
    if not options.only or any("plain".startswith(name) for name in options.only):
        plain.carry_out(options.data, deadline)
    tables.update()
    if failed := [str(one.exception()) for one in done if one.exception()]:
        raise SystemExit("\n".join(failed))


def carry_out(experiment: Experiment, root: Path, deadline: float) -> None:
    """Train as far as there is time, and measure what was not measured yet."""
    if time.monotonic() < deadline and last_step(experiment.run) < experiment.steps:
        train(experiment, root, deadline)
    with _evaluating:
        known, step = read(experiment.name), last_step(experiment.run)
        if step and (known is None or known["steps"] != step):
            measure(experiment, root)


def train(experiment: Experiment, root: Path, deadline: float) -> None:
    """Run `drawwell train` until it is done or the time is over. Raises ``DrawwellError`` with the end of its output where it fails."""
    command = [sys.executable, "-m", "drawwell.cli", *experiment.command(root)]
    print(f"{experiment.name}: drawwell {' '.join(experiment.command(root))}", flush=True)
    log = Path("runs", "results", f"{experiment.name}.log")
    with log.open("ab") as output:
        training = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            training.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            training.send_signal(signal.SIGTERM)
            training.wait()
    if training.returncode not in (0, _STOPPED):
        raise DrawwellError(f"{experiment.name}: {log.read_text()[-500:]}")


if __name__ == "__main__":
    main()
