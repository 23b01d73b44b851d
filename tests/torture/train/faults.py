"""Faults at a chosen system call, by strace; and file systems that are small or read-only."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from .trainer import Training

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")


@contextmanager
def traced(training: Training, log: Path, paths: Sequence[Path], calls: Sequence[str], *options: str) -> Iterator[None]:
    """While ``training`` runs: strace on what it does with ``paths``, written to ``log``."""
    named = [word for path in paths for word in ("-P", str(path))]
    command = [
        "strace",
        "-f",
        "-o",
        str(log),
        "-p",
        str(training.pid),
        "-e",
        f"trace={','.join(calls)}",
        *named,
        *options,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        said = [next(line for line in strace.stderr if "attached" in line)]
        yield
        said += strace.stderr
    assert not training.process.is_alive(), said


def calls_of(log: Path) -> list[str]:
    """The names of all calls in a trace, in order."""
    return re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A tmpfs of ``size`` at ``folder``, which is created."""
    folder.mkdir()
    with _mounted(["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], folder):
        yield


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Permissions do not bind root, who mounts the folder over itself."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    with _mounted(["--bind", str(folder), str(folder)], folder):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield


@contextmanager
def _mounted(arguments: list[str], folder: Path) -> Iterator[None]:
    if shutil.which("mount") is None or subprocess.run(["mount", *arguments], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
