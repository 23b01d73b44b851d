"""A server of `drawwell watch`, in a process of its own."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, START_SECONDS

Watch = Callable[[Path], str]


@pytest.fixture
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Watch a folder. Returns the URL. The servers end with the test, without a word."""
    started: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(folder: Path) -> str:
        log = tmp_path_factory.mktemp("watch") / "log"
        with log.open("wb") as stream:
            command = [sys.executable, "-m", "drawwell", "watch", str(folder), "--port", "0"]
            process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)
        started.append((process, log))
        return _url(process, log)

    yield start
    for process, _ in started:
        process.send_signal(signal.SIGINT)
    for process, log in started:
        assert process.wait(START_SECONDS) == 0
        assert log.read_text().count("\n") == 1


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r" on (http://127\.0\.0\.1:\d+); Ctrl\+C ends it\n", log.read_text()):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"drawwell watch did not start:\n{log.read_text()}")
