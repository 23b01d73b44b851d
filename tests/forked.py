"""`drawwell` in processes of their own, forked from one that has imported every stage: a start takes milliseconds.

An interpreter of its own takes a second, and three where the command needs torch.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from drawwell.cli import main as cli

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["drawwell.cli.commands", "drawwell_train.main", "drawwell_export.main", "drawwell_serve.main", "torch._dynamo"]
)  # the last, for optimizers
PATIENCE_SECONDS = 300
"""Against a hang; a starved machine is slow."""


def run(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run `drawwell ARGUMENTS` with this process's folder and variables, and return its exit code and its output."""
    with TemporaryDirectory() as folder:
        out, error = Path(folder, "out"), Path(folder, "error")
        process = CONTEXT.Process(target=_command, args=(arguments, Path.cwd(), dict(os.environ), out, error))
        process.start()
        code = exit_code(process)
        return subprocess.CompletedProcess(["drawwell", *arguments], code, out.read_text(), error.read_text())


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


def _command(arguments: Sequence[str], cwd: Path, variables: Mapping[str, str], out: Path, error: Path) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ |= variables
    with out.open("w") as stdout, error.open("w") as stderr:
        write_to("stdout", stdout.fileno())
        write_to("stderr", stderr.fileno())
    sys.argv = ["drawwell", *arguments]
    cli.main()
