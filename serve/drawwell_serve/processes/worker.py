"""What a worker process takes from its supervisor, and owes to the machine and to the other processes of its server."""

import ctypes
import os
import signal
import sys
from pathlib import Path

from drawwell_serve.processes import shared_metrics
from drawwell_serve.processes.shared_metrics import SharedMetrics

_WORKER = "_DRAWWELL_WORKER"
"""Of a worker: the supervisor's process number; descriptor, slots and slot of the metrics; the descriptor to say ready at."""
_PR_SET_PDEATHSIG = 1


def variables(metrics: SharedMetrics, slot: int, tell: int) -> dict[str, str]:
    """The environment that makes a process the worker that counts in ``slot`` and says at ``tell`` that it is ready."""
    numbers = (os.getpid(), metrics.descriptor, metrics.slots, slot, tell)
    # prometheus_client joins the folder and the names of its files, which are places in the memory here
    return {_WORKER: ",".join(map(str, numbers)), "PROMETHEUS_MULTIPROC_DIR": "memory"}


def is_worker() -> bool:
    """Whether a supervisor started this process to serve; else it is one, or builds a bento."""
    return _WORKER in os.environ


def begin() -> None:
    """Tie this worker to its supervisor: it counts in the common memory, and dies with it (Linux).

    The kernel would leave it at the port, alone; and a signal that asks would not reach a process that is stopped.
    """
    supervisor, descriptor, slots, slot, _ = _numbers()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is the supervisor's, whoever sends it to all
    if os.getppid() != supervisor:  # it died before
        sys.exit("drawwell: the supervisor has ended")
    shared_metrics.count_in(descriptor, slots, slot)


def metrics_slots() -> int:
    """The slots of the metrics' memory."""
    return _numbers()[2]


def supervisor_of() -> int:
    """The process number of the supervisor."""
    return _numbers()[0]


def say_ready() -> None:
    """Tell the supervisor that this worker serves."""
    tell = _numbers()[-1]
    os.write(tell, b"\n")
    os.close(tell)


def take_one_device(worker: int) -> None:
    """Leave worker 1, 2, ... one of the visible CUDA devices each, in turn; where the variable is empty, none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(number) for number in range(_cuda_devices())] if visible is None else visible.split(",")
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[(worker - 1) % len(devices)]


def _cuda_devices() -> int:
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def _numbers() -> tuple[int, ...]:
    return tuple(map(int, os.environ[_WORKER].split(",")))
