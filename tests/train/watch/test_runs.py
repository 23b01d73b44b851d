"""Which folders are runs, and in which state they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drawwell.errors import DrawwellError
from drawwell_train.monitor.conditions import NAN
from drawwell_train.run.run_files import CHECKPOINTS, CONFIG, SAMPLES, STATS
from drawwell_train.watch.found_runs import FoundRuns
from drawwell_train.watch.watched_run import Snapshot
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


def test_the_state_follows_the_process_that_holds_the_lock(tmp_path: Path) -> None:
    run = write_run(tmp_path, [], steps=1000)
    assert only(run).state == "empty"
    hold(run)
    assert only(run).state == "starting"
    append(run, "".join(json.dumps(row) + "\n" for row in lines(500)))
    training = only(run)
    assert (training.state, training.step, training.steps) == ("training", 500, 1000)
    assert training.seconds_left == pytest.approx(500 * 64 / training.lines[-1]["images_per_second"])
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
    os.utime(run / STATS, (1e9, 1e9))
    assert only(run).state == "stopped"


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
    for name in ("step-7.png", "step-x.png", "step-00000200.jpg"):
        (samples / name).write_bytes(b"")
    (samples / "step-00000400.png").write_text("no picture")
    (watched,) = FoundRuns(run).all()
    assert list(watched.snapshot().sheets) == [100, 300, 400]
    assert watched.sheet(100) == (samples / "step-00000100.png").read_bytes()
    assert watched.sheet(400) is None and watched.sheet(200) is None


def test_a_new_folder_without_anything_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "new" / CHECKPOINTS).mkdir(parents=True)
    assert (only(tmp_path).state, list(only(tmp_path).problems)) == ("empty", [])
