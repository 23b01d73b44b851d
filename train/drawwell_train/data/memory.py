"""Memory that is free to this process, on the machine and in its container."""

from collections.abc import Iterator
from pathlib import Path

import psutil

from drawwell_train.distributed import local_world_size

_GROUPS, _ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Limit, use, and cached files in ``memory.stat``, by the name of the controller, which is empty in version 2 of control groups."""


def free() -> int:
    """Bytes that this process may use. The processes of a training on one machine get equal shares."""
    available: int = min([psutil.virtual_memory().available, *_free_in_groups()])
    return max(0, available) // local_world_size()


def _free_in_groups() -> Iterator[int]:
    """Bytes left below the limit of each control group of this process, and of the groups around it."""
    for line in _GROUPS.read_text().splitlines() if _GROUPS.is_file() else ():
        _, controllers, path = line.split(":", 2)
        for name, files in _FILES.items():
            if name in controllers.split(","):
                root = _ROOT / name
                group = root / path.lstrip("/")
                # in a container the path may be the host's: then the root is the group itself
                for folder in (group, *group.parents):
                    if folder.is_relative_to(root) and (folder / files[0]).is_file():
                        yield from _free_in(folder, *files)


def _free_in(folder: Path, limit: str, use: str, cached: str) -> Iterator[int]:
    most = (folder / limit).read_text().strip()
    if most != "max":
        counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        # the system drops cached files when memory is needed
        yield int(most) - int((folder / use).read_text()) + int(counts.get(cached, 0))
