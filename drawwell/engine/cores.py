"""The number of cores that this process may use."""

import math
import os
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""In a container: its quota and period in microseconds (control groups, version 2)."""


def cores() -> int:
    """Return the number of cores in the affinity of this process, or the quota of its container if that is smaller."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not _CPU_MAX.is_file():
        return allowed
    quota, period = _CPU_MAX.read_text().split()
    return allowed if quota == "max" else min(allowed, math.ceil(int(quota) / int(period)))
