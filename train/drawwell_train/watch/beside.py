"""The page of a run beside its training: in a process of its own, which takes no time of the training's interpreter and ends with it."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from drawwell.errors import DrawwellError
from drawwell.text import printable
from drawwell_train.watch.app import create_app
from drawwell_train.watch.found_runs import FoundRuns, identity
from drawwell_train.watch.main import PORT
from drawwell_train.watch.server import create_server, listen, url_of

_HOST = "127.0.0.1"
_MOST_SAID_BYTES = 4000
_END_SECONDS = 10


@contextlib.contextmanager
def watching(run: Path, say: Callable[[str], object]) -> Iterator[str]:
    """Show one run while the block runs. Yields the URL of its page.

    The port is ``PORT``, or any other if that is taken, for example by the page of another training.

    Args:
        run: its folder.
        say: takes a sentence if the page ended before the block.

    Raises:
        DrawwellError: the page cannot be shown.
    """
    command = [sys.executable, "-P", "-m", __name__, str(run)]
    with tempfile.TemporaryFile() as errors:
        # in a session of its own: Ctrl+C is for the training, which goes on until it has saved
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
        with process:
            assert process.stdout is not None, "it is a pipe"
            url = process.stdout.readline().decode().strip()
            if not url:
                raise DrawwellError(f"--watch: the page cannot be shown ({_last_line(errors)})")
            try:
                yield url
            finally:
                ended_early = process.poll() is not None
                _end(process)
        if ended_early:
            say(f"the page of the run ended before the training ({_last_line(errors)})")


def _end(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None, "it is a pipe"
    process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # a page that hangs must not keep a finished training


def _last_line(errors: IO[bytes]) -> str:
    end = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, end - _MOST_SAID_BYTES))
    lines = errors.read().decode(errors="replace").split("\n")
    return printable(next((line for line in reversed(lines) if line), "it gave no reason"))


def _serve(run: Path) -> None:
    """Print the URL, and serve until the other end of standard input is closed, which it is when the training ends in whatever way."""
    try:
        listener = listen(_HOST, PORT)
    except DrawwellError:
        listener = listen(_HOST, 0)
    with listener:
        server = create_server(partial(create_app, FoundRuns(run)), listener, _HOST)

        def stop_with_training() -> None:
            os.read(sys.stdin.fileno(), 1)
            server.should_exit = True

        threading.Thread(target=stop_with_training, daemon=True).start()
        print(f"{url_of(listener, _HOST)}/runs/{identity(run, run)}", flush=True)
        server.run([listener])


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
