"""Contenders may have processes of their own, and none outlives the race."""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil
import pytest

from benchmarks import step_profile
from benchmarks.race import race
from benchmarks.train import BATCH, configured, profile_of, run_plain
from drawwell_train.presets import Norm
from tests.conftest import ROOT

CONFIG = replace(configured("dcgan", 28, 1, "cpu"), width=4)


def test_the_plain_loop_has_its_workers_in_a_contenders_process() -> None:
    seen = race({"plain": (run_plain, (CONFIG, 1, 2))}, BATCH, rounds=1)
    assert seen["plain"][0] > 0
    assert multiprocessing.active_children() == []


KILLED = """
from drawwell_train.presets import Norm
from benchmarks.race import race
from tests.benchmarks.test_race import CONFIG, told

if __name__ == "__main__":
    race({"plain": (told, (CONFIG,))}, 1, rounds=10**6)
"""


def told(config: Any) -> Callable[[], Any]:
    """The plain loop, which says which processes there are once its workers run."""
    step = run_plain(config, 1, 2)
    step()
    own = psutil.Process()
    print(*(one.pid for one in [own, *own.children()]), flush=True)
    return step


def test_a_race_that_is_killed_leaves_no_process() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 3, "a contender and two workers"
        process.kill()
    deadline = time.monotonic() + 300  # against a hang
    while any(map(psutil.pid_exists, pids)):
        assert time.monotonic() < deadline, "they go on"
        time.sleep(0.1)


def test_a_contender_that_fails_ends_the_race() -> None:
    with pytest.raises(EOFError):
        race({"a": (failing, ()), "b": (failing, ())}, 1)
    assert multiprocessing.active_children() == []


def failing() -> Callable[[], Any]:
    raise SystemExit("there is no such thing here")


@pytest.mark.parametrize(("d_norm", "norm"), [("batch", "batch norm"), ("spectral", step_profile.SPECTRAL_NORM)])
def test_a_profile_has_every_kind_of_work(d_norm: Norm, norm: str) -> None:
    config = replace(CONFIG, width=16, precision="bfloat16", d_norm=d_norm)
    found = profile_of(config, 1)
    shares = found["shares"]
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)
    assert {"convolutions", "casts", norm, "optimizer", "data", "ema"} <= set(shares)
    assert shares["convolutions"] > 0.2
    assert found["operations_ms_a_step"] > 0
