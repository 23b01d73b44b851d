"""Which folders are runs, and in which state they are."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from drawwell.errors import DrawwellError
from drawwell_train.monitor.conditions import NAN
from drawwell_train.run.run_files import CHECKPOINTS, CONFIG, SAMPLES, STATS, sheet_name
from drawwell_train.watch.found_runs import FoundRuns
from drawwell_train.watch.snapshot import Snapshot
from tests.train.watch.written import append, hold, line, lines, write_run


def only(root: Path) -> Snapshot:
    (run,) = FoundRuns(root).all()
    return run.snapshot()


def test_runs_are_found_below_a_folder_and_a_run_is_one_itself(tmp_path: Path) -> None:
    for name in ("a", "group/b", "group/deeper/c", ".hidden/d", "too/deep/for/e"):
        write_run(tmp_path / name, lines(100))
    (tmp_path / "pictures").mkdir()
    assert [run.snapshot().name for run in FoundRuns(tmp_path).all()] == ["a", "group/b", "group/deeper/c"]
    assert only(tmp_path / "a").name == "a"
    with pytest.raises(DrawwellError, match="there is no such folder"):
        FoundRuns(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_may_not_be_read_hides_no_other_run() -> None:
    with tempfile.TemporaryDirectory() as folder:  # whose parents everybody may enter
        root = Path(folder)
        write_run(root / "run", lines(100))
        (root / "lost+found").mkdir(mode=0o000)
        root.chmod(0o755)
        os.seteuid(65534)
        try:
            (run,) = FoundRuns(root).all()
        finally:
            os.seteuid(0)
    assert run.name == "run"


def test_the_state_follows_the_process_that_holds_the_lock(tmp_path: Path) -> None:
    run = write_run(tmp_path, [], steps=1000)
    assert only(run).state == "empty"
    hold(run)
    assert only(run).state == "starting"
    append(run, "".join(json.dumps(row) + "\n" for row in lines(500)))
    training = only(run)
    assert (training.state, training.step, training.steps) == ("training", 500, 1000)
    speeds = [row["images_per_second"] for row in lines(500)]
    assert training.seconds_left == pytest.approx(500 * 64 / statistics.median(speeds))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    hold(run, pid=ended.pid)
    assert (only(run).state, only(run).seconds_left) == ("stopped", None)
    append(run, json.dumps(line(1000)) + "\n")
    assert only(run).state == "finished"


def test_a_process_of_another_host_counts_while_it_writes(tmp_path: Path) -> None:
    run = write_run(tmp_path, lines(500), steps=1000)
    hold(run, host="elsewhere")
    assert only(run).state == "training"
    now = time.time()
    for file in (STATS, ".lock"):
        os.utime(run / file, (now - 100, now - 100))
    assert only(run).state == "stopped"  # it wrote a line every few seconds
    write_run(run, [row | {"images_per_second": 100.0} for row in lines(500)], steps=1000)
    os.utime(run / STATS, (now - 100, now - 100))
    assert only(run).state == "training"  # a line takes 32 seconds
    write_run(run, lines(500), steps=500)
    assert only(run).state == "finished"
    write_run(run, [*lines(500), {"step": 520, "conditions": [NAN]}], steps=1000)
    assert only(run).state == "diverged"


def test_a_process_of_another_host_that_has_no_line_yet_is_starting(tmp_path: Path) -> None:
    run = write_run(tmp_path, [], steps=1000)
    hold(run, host="elsewhere")
    assert only(run).state == "starting"
    os.utime(run / ".lock", (1e9, 1e9))
    os.utime(run / STATS, (1e9, 1e9))
    assert only(run).state == "empty"


def test_a_later_process_with_the_same_number_is_not_the_trainer(tmp_path: Path) -> None:
    run = write_run(tmp_path, lines(500), steps=1000)
    hold(run)
    os.utime(run / ".lock", (1e9, 1e9))
    assert only(run).state == "stopped"


def test_a_run_that_diverged_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path, [*lines(500), {"step": 520, "conditions": [NAN]}], steps=1000)
    assert (only(run).state, only(run).active) == ("diverged", (NAN,))


def test_what_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    run = write_run(tmp_path, lines(500), steps=1000)
    (run / CONFIG).write_text("[1, 2")
    append(run, "damage\n")
    assert list(only(run).problems) == [
        "config.json is damaged: the options of the run are not known",
        "stats.jsonl: line 11 is damaged; damaged lines are not shown",
    ]
    (run / STATS).unlink()
    os.mkfifo(run / STATS)
    assert only(run).problems[1] == "stats.jsonl cannot be read (it is a pipe or a device)"


def test_sheets_are_those_of_training_and_only_pictures_are_sent(tmp_path: Path) -> None:
    run = write_run(tmp_path, lines(500), sheets=[100, 300])
    samples = run / SAMPLES
    os.utime(run / CONFIG, (1e9, 1e9))
    for name in ("step-7.png", "step-x.png", "step-00000200.jpg"):
        (samples / name).write_bytes(b"")
    (samples / "step-00000400.png").write_text("no picture")
    (watched,) = FoundRuns(run).all()
    assert list(watched.snapshot().sheets) == [100, 300, 400]
    assert watched.sheet(100) == (samples / "step-00000100.png").read_bytes()
    assert watched.sheet(400) is None and watched.sheet(200) is None


def test_sheets_beyond_the_checkpoint_of_a_resumed_run_wait_until_they_are_drawn_again(tmp_path: Path) -> None:
    run = write_run(tmp_path, lines(300), sheets=[100, 200, 300, 400])
    for step in (100, 200, 300, 400):
        os.utime(run / SAMPLES / sheet_name(step), (1e9, 1e9))
    (watched,) = FoundRuns(run).all()
    assert list(watched.snapshot().sheets) == [100, 200, 300]
    version = watched.snapshot().version
    append(run, json.dumps(line(350)) + "\n")
    os.utime(run / SAMPLES / sheet_name(400))
    os.utime(run / SAMPLES)
    assert list(watched.snapshot().sheets) == [100, 200, 300, 400]
    write_run(run, lines(50))  # deleted, and trained anew
    assert list(watched.snapshot().sheets) == []
    assert watched.snapshot().version != version


def test_a_run_that_cannot_be_shown_says_so_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (watched,) = FoundRuns(write_run(tmp_path, lines(100))).all()
    with monkeypatch.context() as patch:
        patch.setattr("drawwell_train.watch.watched_run.is_training", _break)
        broken = watched.snapshot()
        assert (broken.state, *broken.problems) == ("unreadable", "this run cannot be shown (TypeError: no such thing)")
        assert watched.snapshot() is broken
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert watched.snapshot().step == 100


def _break(*_: object) -> bool:
    raise TypeError("no such thing")


def test_a_new_folder_without_anything_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "new" / CHECKPOINTS).mkdir(parents=True)
    assert (only(tmp_path).state, list(only(tmp_path).problems)) == ("empty", [])
