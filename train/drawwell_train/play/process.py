"""The process that trains: commands in, frames out, a line of JSON each. It ends when nobody can send commands any more."""

import json
import os
import queue
import sys
import threading
import time
from typing import cast

import torch

from drawwell_train.play.commands import read_command
from drawwell_train.play.frames import frame
from drawwell_train.play.options import Data
from drawwell_train.play.session import Session

_FRAME_SECONDS = 0.25
"""Between two frames of a training that runs: frames take time that steps could have."""


def main(source: str, data: Data) -> None:
    """Train until standard input ends, at first on ``data``; ``source`` names the images."""
    torch.set_num_threads(1)  # networks this narrow are no faster on two, and a lesson is the same on every machine
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    session = Session(source, data)
    _tell(session)
    told_at, next_step = time.monotonic(), 0.0
    while True:
        wait = max(0.0, next_step - time.monotonic()) if session.running else None
        obeyed = _obey(session, lines, wait)
        if obeyed is None:
            return
        now = time.monotonic()
        if session.running and now >= next_step:
            session.advance()
            next_step = now + (1 / session.pace if session.pace else 0)
        if obeyed or not session.running or now - told_at > _FRAME_SECONDS:
            _tell(session)
            told_at = time.monotonic()


def _obey(session: Session, lines: "queue.Queue[str]", wait: float | None) -> bool | None:
    """Carry out the next command if one comes in time. Returns whether one came; None at the end of all commands."""
    try:
        line = lines.get(timeout=wait) if wait != 0 else lines.get_nowait()
    except queue.Empty:
        return False
    if not line:
        return None
    session.obey(read_command(json.loads(line)))
    return True


def _read(lines: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put("")


def _tell(session: Session) -> None:
    print(frame(session), flush=True)


if __name__ == "__main__":
    try:
        source, data = sys.argv[1:]
        main(source, cast(Data, data))
    except BrokenPipeError:
        os._exit(0)  # the server is gone, and there is nobody to write the rest to
