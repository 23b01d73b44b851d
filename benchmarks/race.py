"""Contenders that take turns, each in a process of its own.

In one process, each of two sessions that took turns ran some 15 % slower than alone.
A process that has just been woken is slow for some 80 ms, until its threads have spread over the cores: that time is run
and not counted.
"""

import multiprocessing
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

WARM_SECONDS, TIMED_SECONDS = 0.15, 0.3

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


class _process:  # noqa: N801 - a context manager
    def __init__(self, make: Make) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_contend, args=(theirs, *make), daemon=True)

    def __enter__(self) -> Connection:
        self._process.start()
        self._pipe.recv()  # ready
        return self._pipe

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join()


def _contend(pipe: Connection, make: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> None:
    call = make(*arguments)
    call()
    pipe.send("ready")
    while (units := pipe.recv()) is not None:
        _calls_in(call, WARM_SECONDS)
        calls, seconds = _calls_in(call, TIMED_SECONDS)
        pipe.send(units * calls / seconds)


def _calls_in(call: Callable[[], Any], least_seconds: float) -> tuple[int, float]:
    begin, calls = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < least_seconds:
        call()
        calls += 1
    return calls, passed
