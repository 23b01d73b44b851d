"""Contenders that take turns, each in a process of its own.

In one process, each of two sessions that took turns ran some 15 % slower than alone.
A process that has just been woken is slow for some 80 ms, until its threads have spread over the cores: that time is run
and not counted.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

WARM_SECONDS, TIMED_SECONDS = 0.15, 0.3
END_SECONDS = 60

Make = tuple[Callable[..., Callable[[], Any]], tuple[Any, ...]]
"""A function of a module, and its arguments: called in the contender's process, it returns the call to be timed."""


def race(contenders: Mapping[str, Make], units: int, rounds: int = 11) -> dict[str, list[float]]:
    """Units a second of each contender in each round, one call being worth ``units``."""
    with ExitStack() as stack:
        pipes = {name: stack.enter_context(_process(make)) for name, make in contenders.items()}
        seen: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, pipe in pipes.items():
                pipe.send(units)
                seen[name].append(pipe.recv())
    return seen


@contextmanager
def _process(make: Make) -> Iterator[Connection]:
    """A contender that waits for its turns. It is no daemon, since these may have no children, as a ``DataLoader`` has its workers."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_contend, args=(theirs, *make))
    process.start()
    theirs.close()  # so that its end is the end of the pipe
    try:
        ours.recv()  # ready
        yield ours
    finally:
        ours.close()
        process.join(END_SECONDS)
        process.kill()
        process.join()


def _contend(pipe: Connection, make: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    call = make(*arguments)
    call()
    with suppress(EOFError, BrokenPipeError):  # the race is over
        pipe.send("ready")
        while True:
            units = pipe.recv()
            _calls_in(call, WARM_SECONDS)
            calls, seconds = _calls_in(call, TIMED_SECONDS)
            pipe.send(units * calls / seconds)


def _end_with_parent() -> None:
    """Even within a call, and even if nobody could say that the race is over. Workers watch their own parent, this process."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a contender is started by a race"
    parent.join()
    os._exit(1)


def _calls_in(call: Callable[[], Any], least_seconds: float) -> tuple[int, float]:
    begin, calls = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < least_seconds:
        call()
        calls += 1
    return calls, passed
