"""The one training that the page plays with, in a process of its own."""

import contextlib
import json
import subprocess
import sys
import threading
from typing import NamedTuple

from drawwell.errors import DrawwellError
from drawwell_train.play.commands import read_command
from drawwell_train.play.options import Data
from drawwell_train.play.source import check_installed

_STOP_SECONDS = 10


class Told(NamedTuple):
    """The newest frame, as JSON, and how many came before it."""

    number: int
    frame: str


class Training:
    """Starts a process, tells it what to do, and keeps the newest frame of it. A process that has died is started anew by ``reset``.

    It is safe to use from several threads. The process ends with ``close``, and with this process, however that ends: its standard
    input ends then.

    Args:
        source: of the images: a path, or ``digits``.
        data: what the first training learns.
    """

    def __init__(self, source: str = "digits", data: Data = "ring") -> None:
        self._source, self._data = source, data
        self._lock = threading.Lock()
        self._told = Told(0, "")
        self._process = self._start()

    @property
    def told(self) -> Told:
        """The newest frame; an empty one before the first."""
        return self._told

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def obey(self, given: object) -> None:
        """Send a command to the process.

        Raises:
            RequestError: the command or an option is wrong, or the package of the digits is missing.
            DrawwellError: the process has ended.
        """
        command = read_command(given)
        if command.options and command.options.data == "images":
            check_installed(self._source)
        with self._lock:
            if not self.alive and command.do == "reset":
                self._process = self._start()
            try:
                assert self._process.stdin, "it is a pipe"
                self._process.stdin.write(json.dumps(given) + "\n")
                self._process.stdin.flush()
            except OSError as error:
                raise DrawwellError("the process that trains has ended; reset starts a new one") from error

    def close(self) -> None:
        """End the process."""
        with self._lock:
            assert self._process.stdin, "it is a pipe"
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _start(self) -> subprocess.Popen[str]:
        # in a session of its own: Ctrl+C is for the server, which then ends it
        process = subprocess.Popen(
            [sys.executable, "-m", "drawwell_train.play.process", self._source, self._data],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout, "it is a pipe"
        for line in process.stdout:
            self._told = Told(self._told.number + 1, line.strip())
