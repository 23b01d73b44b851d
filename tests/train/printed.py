"""What a server of `drawwell watch` or `drawwell play` prints when it begins."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import START_SECONDS


def printed_url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the process has printed its URL into its log, and return it."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r" on (http://127\.0\.0\.1:\d+); Ctrl\+C ends it\n", log.read_text()):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{log.read_text()}")
