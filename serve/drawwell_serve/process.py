"""What a worker process owes to the machine and to the other processes of its server."""

import ctypes
import os
import shutil
import signal
import sys
from pathlib import Path

import psutil
from bentoml._internal.configuration.containers import BentoMLContainer

_PR_SET_PDEATHSIG = 1


def is_worker() -> bool:
    """Whether BentoML started this process to serve; else it starts the others, or builds a bento."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


def share_no_metrics() -> None:
    """Give each server a folder of its own for its workers' metrics: BentoML empties the common one at every start.

    Those of servers that have ended are removed.
    """
    home = Path(BentoMLContainer.bentoml_home.get()) / "drawwell_metrics"
    for folder in home.glob("[0-9]*"):
        if not psutil.pid_exists(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)  # another start may be at it too
    BentoMLContainer.prometheus_multiproc_dir.set(str(home / str(os.getpid())))


def end_with_parent() -> None:
    """Have the kernel stop this worker when its supervisor is killed (Linux): it would go on at the port, alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def take_one_device(worker: int) -> None:
    """Leave worker 1, 2, ... one of the visible CUDA devices each, in turn; where the variable is empty, none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(number) for number in range(_cuda_devices())] if visible is None else visible.split(",")
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[(worker - 1) % len(devices)]


def _cuda_devices() -> int:
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
