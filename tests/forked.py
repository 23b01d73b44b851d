"""`drawwell` in processes of their own, forked from one that has imported every stage: a start takes milliseconds.

An interpreter of its own takes a second, and three where the command needs torch.
"""

import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import mkdtemp

from drawwell.cli import main as cli

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("drawwell.cli.commands", "drawwell_train.main", "drawwell_export.main", "drawwell_serve.main"),
        *("matplotlib.pyplot", "torch._dynamo", "tests.warm"),  # for curves, for optimizers, and for the digits
    ]
)
PATIENCE_SECONDS = 300
"""Against a hang; a starved machine is slow."""


class Command:
    """`drawwell ARGUMENTS` with this process's folder and variables, from its start to its end."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments, self._output = arguments, Path(mkdtemp())
        given = arguments, Path.cwd(), dict(os.environ), self._output
        self.process = CONTEXT.Process(target=_command, args=given)
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None, "it was started"
        return self.process.pid

    def send_signal(self, number: int) -> None:
        if self.process.is_alive():
            os.kill(self.pid, number)

    def ended(self) -> "subprocess.CompletedProcess[str]":
        """Wait. Its exit code and its output."""
        code = exit_code(self.process)
        out, error = ((self._output / name).read_text() for name in ("stdout", "stderr"))
        shutil.rmtree(self._output)
        return subprocess.CompletedProcess(["drawwell", *self._arguments], code, out, error)


def exit_code(process: ForkServerProcess) -> int:
    """Wait for the end. Less than zero after a signal."""
    process.join(PATIENCE_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"process {process.pid} hung")
    return process.exitcode


def write_to(stream: str, descriptor: int) -> None:
    """Let ``sys.stdout`` or ``sys.stderr`` write to an open file. The old one may remember a file in which one can seek."""
    number = {"stdout": 1, "stderr": 2}[stream]
    os.dup2(descriptor, number)
    setattr(sys, stream, os.fdopen(number, "w", buffering=number - 1 or -1, closefd=False))


def _command(arguments: Sequence[str], cwd: Path, variables: Mapping[str, str], output: Path) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ |= variables
    for stream in ("stdout", "stderr"):
        with (output / stream).open("w") as file:
            write_to(stream, file.fileno())
    sys.argv = ["drawwell", *arguments]
    cli.main()
