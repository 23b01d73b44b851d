"""Processes of `drawwell train` that wait for a word to begin: hundreds of them start in the time of a few."""

import os
import resource
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from drawwell.cli import main as cli
from drawwell_train.run import checkpoint
from drawwell_train.step import state as states
from tests import forked


@dataclass(frozen=True)
class Training:
    """One process, which waits until it is told to begin, and what it says."""

    process: ForkServerProcess
    _go: Connection
    _said: Connection

    @property
    def pid(self) -> int:
        assert self.process.pid is not None, "it was started"
        return self.process.pid

    def begin(self) -> None:
        self._go.send(None)

    def end(self) -> tuple[int, str]:
        """Wait. The exit code, which is less than zero after a signal, and what was said."""
        code = forked.exit_code(self.process)
        said = os.read(self._said.fileno(), 2**20).decode()
        assert "Traceback" not in said, said
        return code, said


def prepared(arguments: list[str], largest_file: int | None = None) -> Training:
    """Start `drawwell ARGUMENTS`, which waits; it may write no file of more than ``largest_file`` bytes."""
    waits, go = forked.CONTEXT.Pipe(duplex=False)
    # a pipe, to which no limit applies; it holds 64 KiB, ten times the output
    said, says = forked.CONTEXT.Pipe(duplex=False)
    os.set_blocking(said.fileno(), False)
    process = forked.CONTEXT.Process(target=_train, args=(arguments, says, waits, largest_file))
    process.start()
    says.close()
    return Training(process, go, said)


def _train(arguments: list[str], says: Connection, waits: Connection, largest_file: int | None) -> None:
    forked.write_to("stderr", says.fileno())
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    waits.recv()
    sys.argv = ["drawwell", *arguments]
    cli.main()


def whole_steps(run: Path) -> list[int]:
    """The steps of all checkpoints, in order. Raises ``CheckpointError`` where one cannot be read."""
    return [checkpoint.load(path).step for path in sorted((run / "checkpoints").glob("step-*"))]


def digest(run: Path) -> str:
    return states.digest(checkpoint.find(run, None)[0].tensors)
