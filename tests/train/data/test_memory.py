"""The memory that is free: of the machine, of its containers, and of each of several processes."""

from pathlib import Path

import psutil
import pytest

from drawwell_train.data import memory
from drawwell_train.data.images import DataError, check_memory

MEBI = 2**20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of /sys/fs/cgroup, on a machine with 100 MiB free."""
    monkeypatch.setattr(memory, "_ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "self")
    machine = psutil.virtual_memory()._replace(available=100 * MEBI)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    return tmp_path


def write(folder: Path, **contents: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_without_groups_the_machine_decides(groups: Path) -> None:
    assert memory.free() == 100 * MEBI
    (groups / "self").write_text("0::/\n")
    assert memory.free() == 100 * MEBI


@pytest.mark.parametrize("path", ["/a/b", "/", "/docker/of-the-host"])
def test_the_limit_of_a_container_is_seen(groups: Path, path: str) -> None:
    """In a container the path may be its own, or the host's."""
    (groups / "self").write_text(f"0::{path}\n")
    own = groups / "cgroup" / ("a/b" if path == "/a/b" else "")
    stat = f"anon 1\ninactive_file {3 * MEBI}"
    write(own, memory__max=str(50 * MEBI), memory__current=str(20 * MEBI), memory__stat=stat)
    assert memory.free() == 33 * MEBI, "files in the cache give way"
    with pytest.raises(DataError, match=r"images need 0.0 GiB of memory; 0.0 GiB are free"):
        check_memory(30 * MEBI, "images")
    write(own, memory__max="max")
    assert memory.free() == 100 * MEBI


def test_the_limit_of_an_outer_group_is_seen(groups: Path) -> None:
    (groups / "self").write_text("0::/a/b\n")
    write(groups / "cgroup/a/b", memory__max="max", memory__current="5", memory__stat="inactive_file 0")
    write(groups / "cgroup/a", memory__max=str(9 * MEBI), memory__current=str(MEBI), memory__stat="inactive_file 0")
    assert memory.free() == 8 * MEBI


@pytest.mark.parametrize("limit", [40 * MEBI, 9223372036854771712])
def test_the_limit_of_version_1_is_seen(groups: Path, limit: int) -> None:
    (groups / "self").write_text("5:devices:/x\n4:cpu,memory:/x\n0::/\n")
    stat = f"total_inactive_file {2 * MEBI}\ninactive_file 0"
    own = groups / "cgroup/memory/x"
    write(own, memory__limit_in_bytes=str(limit), memory__usage_in_bytes=str(12 * MEBI), memory__stat=stat)
    assert memory.free() == (30 if limit < 2**40 else 100) * MEBI


def test_a_group_over_its_limit_has_nothing_free(groups: Path) -> None:
    (groups / "self").write_text("0::/\n")
    write(groups / "cgroup", memory__max="5", memory__current="9", memory__stat="inactive_file 0")
    assert memory.free() == 0


def test_the_processes_of_one_machine_share_it(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert groups.is_dir()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory.free() == 25 * MEBI
