"""A server of `drawwell play`, in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, START_SECONDS
from tests.train.printed import printed_url


@dataclass(frozen=True)
class Playing:
    """The server: its URL, and its process."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[Playing]:
    """`drawwell play` on a free port, with its log in a folder. It ends with the block, without a word."""
    folder.mkdir(exist_ok=True)
    log = folder / "log"
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "drawwell", "play", "--port", "0", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)
    try:
        yield Playing(printed_url(process, log), process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(START_SECONDS) == 0
    assert log.read_text().count("\n") == 1


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Playing]:
    """`drawwell play` without data."""
    with served(tmp_path) as server:
        yield server


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 40 small grey pictures, each a bright square at a place of its own."""
    folder = tmp_path / "squares"
    folder.mkdir()
    for number in range(40):
        pixels = np.zeros((32, 32), np.uint8)
        top, left = 3 * (number // 7), 3 * (number % 7)
        pixels[top : top + 10, left : left + 10] = 255
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder
