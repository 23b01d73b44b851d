"""Disks that are too small, limits, folders that are read-only, and a clock that jumps."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..conftest import FULL, Record, times
from .conftest import OPTIONS, STEPS, Train
from .faults import read_only, small_disk
from .trainer import digest, whole_steps

_LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def test_a_disk_of_a_megabyte_that_fills_up(train: Train, undisturbed: str, tmp_path: Path) -> None:
    """A disk of 1 MB that fills up: the checkpoint before is whole, nothing is left half-written, the exit is not 0 and names path and
    bytes; with more room the run ends with the hash of one that had it."""
    with small_disk(tmp_path / "disk", "1m"):
        run, others = tmp_path / "disk" / "run", tmp_path / "disk" / "others"
        others.write_bytes(bytes(2**19))
        code, said = train(run, "--keep", "9")
        assert code == 1
        assert f"{run}/" in said and "bytes could not be written (No space left on device)" in said
        assert whole_steps(run)
        _assert_nothing_half_written(run)
        others.unlink()
        assert train(run)[0] == 0
        assert digest(run) == undisturbed


def test_a_limit_on_the_size_of_files(train: Train, undisturbed: str, tmp_path: Path, record: Record) -> None:
    """RLIMIT_FSIZE, of all sizes that the files of a run have: as on a full disk."""
    whole = tmp_path / "whole"
    assert train(whole, "--steps", "4")[0] == 0
    sizes = {file.stat().st_size for file in whole.rglob("*") if file.is_file()} - {0}
    count = times(len(sizes), 1)
    for size in random.Random(7).sample(sorted(sizes), count):
        run = tmp_path / str(size)
        assert train(run, "--steps", "2")[0] in (0, 1)
        code, said = train(run, largest_file=size - 1)
        assert code == 1
        assert f"{run}/" in said and "bytes could not be written (File too large)" in said
        assert 2 in whole_steps(run)
        _assert_nothing_half_written(run)
        assert train(run)[0] == 0
        assert digest(run) == undisturbed
    record(count=count, half_written=0, other_weights=0, bytes=sorted(sizes))


def _assert_nothing_half_written(run: Path) -> None:
    hidden = [path.name for path in run.rglob(".*")]
    assert hidden in ([], [".lock"])
    assert all(line.endswith("}") for line in (run / "stats.jsonl").read_text().splitlines())


@pytest.mark.parametrize("part", ["", "samples", "checkpoints"])
def test_a_read_only_run_folder_fails_before_step_1(train: Train, tmp_path: Path, part: str) -> None:
    """A run folder, or a part of it, that is read-only is refused before step 1."""
    run = tmp_path / "run"
    assert train(run, "--steps", "2")[0] == 0
    with read_only(run / part):
        code, said = train(run)
    assert code == 1
    assert f"{run / part}" in said and "cannot be written" in said
    assert "step 3/" not in said
    assert whole_steps(run) == [2]


@pytest.mark.skipif(_LIBFAKETIME is None, reason="there is no libfaketime here")
def test_a_clock_that_jumps_by_a_day_changes_nothing(
    undisturbed: str, digits: Path, tmp_path: Path, record: Record
) -> None:
    """A clock that jumps by a day, forwards and backwards, ten times a second: the same hash."""
    clock, run, jumps = tmp_path / "clock", tmp_path / "run", 0
    clock.write_text("+0d")
    environment = os.environ | {
        "LD_PRELOAD": str(_LIBFAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # which no jump of the clock moves
    }
    for steps in (STEPS // 2, STEPS) if FULL else (STEPS,):
        command = [sys.executable, "-m", "drawwell", "train", str(digits), "--out", str(run), *OPTIONS]
        with subprocess.Popen([*command, "--steps", str(steps)], env=environment, stderr=subprocess.PIPE) as process:
            while process.poll() is None:
                jumps += 1
                clock.write_text("+1d" if jumps % 2 else "-1d")
                time.sleep(0.1)
        assert process.returncode == 0
    faked = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"], env=environment, capture_output=True, check=True
    )
    assert abs(float(faked.stdout) - time.time()) > 80_000, "the clock did not jump"
    assert digest(run) == undisturbed
    record(count=jumps, other_weights=0)
