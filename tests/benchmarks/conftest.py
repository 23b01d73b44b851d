"""What tests of the benchmarks share: figures that are written go into a folder of the test."""

from pathlib import Path

import pytest

from benchmarks import report


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "RESULTS", folder := tmp_path / "results")
    return folder
