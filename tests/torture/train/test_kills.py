"""kill -9, at random moments and at every system call of a save."""

import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from ..conftest import FULL, Record, times
from .conftest import STEPS, Prepare, Train
from .faults import calls_of, needs_strace, traced
from .trainer import digest, whole_steps

_FILES = ("tensors.safetensors", "state.json", "manifest.json")
_CALLS = ("mkdir", "openat", "write", "fsync", "rename", "unlinkat", "rmdir")


def test_kill_9_of_a_training_at_a_random_moment(
    prepare: Prepare, train: Train, undisturbed: str, tmp_path: Path, record: Record
) -> None:
    """kill -9 of a training at a random moment: every checkpoint can be read, and the run, continued, ends with the hash of one
    that nothing disturbed."""
    kills, chance, runs, moments = times(200, 2), random.Random(7), 0, Counter[str]()
    begun = time.monotonic()
    train(tmp_path / "timed", "--save-every", "1")
    seconds = time.monotonic() - begun
    while moments.total() < kills:
        run = tmp_path / str(runs)
        while _killed(prepare, run, chance.uniform(0, seconds)):
            moments[_moment(run)] += 1
            whole_steps(run)
        assert digest(run) == undisturbed
        runs += 1
    record(count=moments.total(), unreadable=0, other_weights=0, runs=runs, killed=dict(moments))


def _killed(prepare: Prepare, run: Path, after: float) -> bool:
    """Continue the run, and kill it; False where it was quicker."""
    training = prepare(run, "--save-every", "1")
    training.begin()
    training.process.join(after)
    training.process.kill()
    code, _ = training.end()
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _moment(run: Path) -> str:
    """What a kill interrupted, as far as the files tell."""
    checkpoints = run / "checkpoints"
    if any(checkpoints.glob(".writing-*")):
        return "while a checkpoint was written"
    if any(checkpoints.glob(".dropped-*")):
        return "while an old one was removed"
    return "in a later step" if any(checkpoints.glob("step-*")) else "before the first checkpoint"


@pytest.fixture(scope="module")
def before_the_last(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has one more checkpoint to write, and then an old one to remove."""
    run = tmp_path_factory.mktemp("before-the-last") / "run"
    assert train(run, "--steps", str(STEPS - 2), "--keep", "1")[0] == 0
    return run


def _copied(source: Path, run: Path) -> tuple[Path, list[Path]]:
    """A copy of a run, and all paths that the save of its last checkpoint touches."""
    shutil.copytree(source, run)
    last, old = f"step-{STEPS:08d}", f"step-{STEPS - 2:08d}"
    folder = run / "checkpoints"
    folders = [folder / name for name in (f".writing-{last}", last, old, f".dropped-{old}")]
    return run, [folder, *folders, *(folders[0] / file for file in _FILES)]


@needs_strace
def test_kill_9_at_every_system_call_of_a_save(
    prepare: Prepare, train: Train, undisturbed: str, before_the_last: Path, tmp_path: Path, record: Record
) -> None:
    """kill -9 at every write, fsync, rename and other call on files of a save: as above."""
    run, paths = _copied(before_the_last, tmp_path / "counted")
    log = tmp_path / "trace"
    with traced(training := prepare(run, "--keep", "1"), log, paths, _CALLS):
        training.begin()
        assert training.end()[0] == 0
    counted = Counter(calls_of(log))
    assert counted["fsync"] >= 5, "three files, their folder, and the folder that it was renamed in"
    places = [(call, number) for call, total in counted.items() for number in range(1, total + 1)]
    for call, number in places if FULL else random.Random(7).sample(places, 2):
        run, paths = _copied(before_the_last, tmp_path / f"{call}-{number}")
        kill = f"inject={call}:signal=KILL:when={number}"
        with traced(training := prepare(run, "--keep", "1"), log, paths, [call], "-e", kill):
            training.begin()
            assert training.end()[0] == -signal.SIGKILL, f"{call} {number} did not come"
        assert whole_steps(run), f"{call} {number} left no checkpoint"
        assert train(run)[0] == 0
        assert digest(run) == undisturbed
    record(count=len(places), unreadable=0, other_weights=0, killed_at=dict(counted))


@needs_strace
def test_an_error_at_every_system_call_of_a_save(
    prepare: Prepare, train: Train, undisturbed: str, before_the_last: Path, tmp_path: Path, record: Record
) -> None:
    """A disk that is full (ENOSPC) or fails (EIO) at every write, fsync and rename of a checkpoint: the one before it is whole, nothing
    is left half-written, the exit is not 0 and names path and bytes; and the run, continued, ends with the same hash."""
    places = [("mkdir", 3), *(("write", n) for n in (1, 2, 3)), *(("fsync", n) for n in (1, 2, 3, 4, 5)), ("rename", 1)]
    faults = [(*place, error) for error in ("ENOSPC", "EIO") for place in places]
    for call, number, error in faults if FULL else random.Random(7).sample(faults, 2):
        run, paths = _copied(before_the_last, tmp_path / f"{call}-{number}-{error}")
        fault = f"inject={call}:error={error}:when={number}"
        with traced(training := prepare(run), tmp_path / "trace", paths, [call], "-e", fault):
            training.begin()
            code, said = training.end()
        assert code == 1, f"{call} {number}: {said}"
        words = {"ENOSPC": "No space left on device", "EIO": "Input/output error"}[error]
        assert f"step-{STEPS:08d}: " in said and f"bytes could not be written ({words})" in said
        assert STEPS - 2 in whole_steps(run)
        assert not list((run / "checkpoints").glob(".*")), "something was left half-written"
        assert train(run)[0] == 0
        assert digest(run) == undisturbed
    record(
        count=len(faults),
        half_written=0,
        other_weights=0,
        faults=dict(Counter(f"{call} {error}" for call, _, error in faults)),
    )
