"""The page of a run beside its training."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from drawwell.errors import DrawwellError
from drawwell_train.watch import beside
from drawwell_train.watch.beside import watching
from tests.conftest import ROOT, drawwell, free_port
from tests.train.watch.written import hold, lines, write_run

PATIENCE_SECONDS = 60
SMALL = ["--log-every", "10", "--width", "8", "--batch-size", "16", "--threads", "1", "--kid-every", "0"]


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pages_of(process: int) -> list[psutil.Process]:
    """The pages that a process shows."""
    children = psutil.Process(process).children(recursive=True)
    return [child for child in children if "drawwell_train.watch.beside" in child.cmdline()]


def test_the_page_is_there_while_the_block_runs(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines(300), steps=1000)
    hold(run)
    said: list[str] = []
    with watching(run, said.append) as url:
        assert "300 of 1,000" in httpx.get(url).text
        (page,) = pages_of(os.getpid())
    assert not page.is_running() and said == []


def test_the_page_ends_when_its_training_is_killed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines(300), steps=1000)
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom drawwell_train.watch.beside import watching\n"
        "with watching(Path(sys.argv[1]), print) as url:\n    print(url, flush=True)\n    time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as training:
        assert training.stdout is not None
        assert httpx.get(training.stdout.readline().strip()).status_code == 200
        (page,) = pages_of(training.pid)
        assert os.getpgid(page.pid) != os.getpgid(training.pid)  # Ctrl+C does not reach it
        training.kill()
    until(lambda: not page.is_running() or page.status() == psutil.STATUS_ZOMBIE)


def test_a_page_that_hangs_does_not_keep_its_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_END_SECONDS", 1)
    said: list[str] = []
    with watching(write_run(tmp_path / "run", lines(300)), said.append):
        (page,) = pages_of(os.getpid())
        page.suspend()
    assert not page.is_running() and said == []


def test_a_page_that_ends_early_is_a_sentence_and_one_that_cannot_begin_is_an_error(tmp_path: Path) -> None:
    said: list[str] = []
    with watching(write_run(tmp_path / "run", lines(300)), said.append):
        (page,) = pages_of(os.getpid())
        page.kill()
        until(lambda: page.status() == psutil.STATUS_ZOMBIE)
    assert said == ["the page of the run ended before the training (it gave no reason)"]
    reason = "--watch: the page cannot be shown .*there is no such folder"
    with pytest.raises(DrawwellError, match=reason), watching(tmp_path / "none", said.append):
        pass


@pytest.mark.slow
def test_a_training_ends_with_the_same_weights_with_and_without_a_page(tmp_path: Path) -> None:
    def weights(run: str, steps: int, *more: str) -> str:
        done = drawwell("train", "digits", "--out", str(tmp_path / run), "--steps", str(steps), *SMALL, *more)
        assert len(re.findall(r"^watch +http://127\.0\.0\.1:\d+/runs/\w+$", done.stderr, re.MULTILINE)) == len(more)
        assert len(stats(tmp_path / run)) == steps // 10
        (digest,) = re.findall(r"weights (\w+)", done.stderr)
        return str(digest)

    watched = weights("watched", 20, "--watch")
    assert watched == weights("alone", 20)
    # a run may go on with a page that began without one, and the other way round
    assert weights("watched", 40) == weights("alone", 40, "--watch") != watched


def stats(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_several_processes_show_one_page(tmp_path: Path) -> None:
    torchrun, command = (str(Path(sys.executable).with_name(name)) for name in ("torchrun", "drawwell"))
    several = [torchrun, "--nproc-per-node=2", "--master-port", str(free_port())]
    training = [command, "train", "digits", "--out", str(tmp_path / "run"), "--steps", "20", *SMALL, "--watch"]
    done = subprocess.run([*several, *training], capture_output=True, text=True, check=True)
    assert len(re.findall("^watch +http", done.stderr, re.MULTILINE)) == 1
    assert len(stats(tmp_path / "run")) == 2
