"""A server of `drawwell watch`, in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, START_SECONDS
from tests.train.printed import printed_url

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
        return printed_url(process, log)

    yield start
    for process, _ in started:
        process.send_signal(signal.SIGINT)
    for process, log in started:
        assert process.wait(START_SECONDS) == 0
        assert log.read_text().count("\n") == 1
