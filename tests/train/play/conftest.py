"""A server of `drawwell play`, in a process of its own."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, START_SECONDS


@dataclass(frozen=True)
class Playing:
    """The server: its URL, and its process."""

    url: str
    process: subprocess.Popen[bytes]


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Playing]:
    """`drawwell play` on a free port. It ends with the test, without a word."""
    log = tmp_path / "log"
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "drawwell", "play", "--port", "0"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)
    yield Playing(_url(process, log), process)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        assert process.wait(START_SECONDS) == 0
    assert log.read_text().count("\n") == 1


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r" on (http://127\.0\.0\.1:\d+); Ctrl\+C ends it\n", log.read_text()):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"drawwell play did not start:\n{log.read_text()}")
