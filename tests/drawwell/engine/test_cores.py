"""Cores in a container."""

import os
from pathlib import Path

import pytest

from drawwell.engine import cores


@pytest.mark.parametrize(
    ("cpu_max", "wanted"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1), ("6400000 100000", 8)],
)
def test_a_quota_bounds_the_cores(cpu_max: str, wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(cores, "_CPU_MAX", tmp_path / "cpu.max")
    assert cores.cores() == 8
    (tmp_path / "cpu.max").write_text(f"{cpu_max}\n")
    assert cores.cores() == wanted
