"""A worker process: what its supervisor passes to it, and how it ends with its supervisor."""

import ctypes
import os
import signal
import sys
from pathlib import Path

from drawwell_serve.bentoml_compat import prometheus_memory

_WORKER_VARIABLE = "_DRAWWELL_WORKER"
"""The variable of a worker: process number of the supervisor; descriptor, slots and slot of the metrics; descriptor for its readiness."""
_PR_SET_PDEATHSIG = 1


def variables(descriptor: int, slots: int, slot: int, tell: int) -> dict[str, str]:
    """The environment variables of a worker.

    Args:
        descriptor: The memory of the metrics.
        slots: The slots of that memory.
        slot: The slot that the worker counts in.
        tell: The descriptor to which it writes when it is ready.
    """
    numbers = (os.getpid(), descriptor, slots, slot, tell)
    # prometheus_client joins this folder with the names of its files, which are regions of the memory here
    return {_WORKER_VARIABLE: ",".join(map(str, numbers)), "PROMETHEUS_MULTIPROC_DIR": "memory"}


def is_worker() -> bool:
    """Whether a supervisor started this process. If not, the process is a supervisor, or builds a bento."""
    return _WORKER_VARIABLE in os.environ


def begin() -> None:
    """Count in the shared memory, and (on Linux) end with the supervisor.

    Without its supervisor the worker would go on listening. SIGKILL ends it even if it is stopped.
    """
    supervisor, descriptor, slots, slot, _ = _numbers()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # for the supervisor, even if it is sent to all processes
    if os.getppid() != supervisor:  # it ended before prctl
        sys.exit("drawwell: the supervisor has ended")
    prometheus_memory.count_in(descriptor, slots, slot)


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
    """Give worker 1, 2, ... one of the visible CUDA devices each, in turn; none if CUDA_VISIBLE_DEVICES is empty."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(number) for number in range(_cuda_devices())] if visible is None else visible.split(",")
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[(worker - 1) % len(devices)]


def _cuda_devices() -> int:
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def _numbers() -> tuple[int, ...]:
    return tuple(map(int, os.environ[_WORKER_VARIABLE].split(",")))
