"""A start that the server refuses."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, START_SECONDS, free_port, server_environment


def refused(folder: Path, *options: str, **variables: str) -> str:
    """Run `bentoml serve` with these options and environment variables; return its standard error, which is no traceback."""
    port = () if "--port" in options else ("--port", str(free_port()))
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "serve", *port, *options],
        cwd=ROOT,
        env=server_environment(folder) | variables,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr + done.stdout
    return done.stderr
