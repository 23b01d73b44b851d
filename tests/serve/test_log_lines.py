"""The lines of the log: in one format, never waited for, whole."""

import json
import logging
import os
import select
import sys
import threading
from collections.abc import Iterator

import msgspec
import pytest

from drawwell_serve.log import _STYLES, MOST_WAITING_BYTES, Facts, Lines, _facts
from drawwell_serve.settings import LogFormat

HOSTILE = 'x\n2026-01-31T12:00:00.000+00:00 INFO forged\x1b[31m "quoted" \udc80'


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The reading and the writing end; what waits at the writing end fails once the other is closed."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def lines_to(writing: int, dropped: list[int]) -> Lines:
    return Lines(writing, lambda count: b"%d missing" % count, lambda: dropped.append(1))


def read(reading: int, until: bytes) -> bytes:
    came = b""
    while until not in came:
        ready, _, _ = select.select([reading], [], [], 30)
        assert ready, came[-200:]
        came += os.read(reading, 65536)
    return came


def test_lines_that_nobody_reads_are_dropped_and_counted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    dropped = list[int]()
    lines = lines_to(writing, dropped)
    count = 3 * MOST_WAITING_BYTES // 1000
    for number in range(count):  # more than the pipe and the memory hold
        lines.add(b"%d " % number + b"x" * 1000)
    assert dropped
    came = read(reading, b"missing")
    assert b"\n%d missing\n" % len(dropped) in came
    whole = came.splitlines()
    assert [int(line.split()[0]) for line in whole[:-1]] == list(range(count - len(dropped)))
    lines.add(b"again")
    read(reading, b"again\n")
    lines.close()


def test_a_closed_standard_output_drops_lines_and_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    told = threading.Event()
    lines = Lines(writing, lambda _: b"", told.set)
    lines.add(b"x")
    assert told.wait(30)
    lines.close()
    os.close(writing)


def test_lines_that_a_full_disk_does_not_take_are_counted_once_and_none_is_torn(pipe: tuple[int, int]) -> None:
    """A full pipe that nobody waits for fails as a full disk does: it takes a part of a line, then nothing."""
    reading, writing = pipe
    os.set_blocking(writing, False)
    dropped = threading.Semaphore(0)
    lines = Lines(writing, lambda count: b"%d missing" % count, dropped.release)
    lines.add(b"whole")
    lines.add(b"x" * 2**18)
    assert dropped.acquire(timeout=30)
    for number in range(3):  # each finds it full, as does the line that says how many are missing
        lines.add(b"%d" % number)
        assert dropped.acquire(timeout=30)
    came = os.read(reading, 2**18)
    assert came.startswith(b"whole\nxxx") and came.endswith(b"xxx")
    for word in (b"again\n", b"and again\n"):
        lines.add(word[:-1])
        came += read(reading, word)
    assert came.rpartition(b"xxx")[2] == b"\n4 missing\nagain\nand again\n"
    assert not dropped.acquire(blocking=False), "each was counted once"
    lines.close()


def test_long_and_short_lines_of_two_processes_do_not_mix(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    several = [lines_to(writing, []) for _ in range(2)]
    for number in range(2000):
        for letter, lines in zip((b"a", b"b"), several, strict=True):
            lines.add(letter * (number % 300 + 1))
    for lines in several:
        lines.add(b"end")
    came = read(reading, b"end\n")
    while came.count(b"end\n") < 2:
        came += read(reading, b"end\n")
    assert all(len(set(line)) == 1 for line in came.splitlines() if line != b"end")
    assert len(came.splitlines()) == 4002


@pytest.mark.parametrize("style", ["json", "text"])
def test_what_others_sent_makes_no_line_of_its_own(style: LogFormat) -> None:
    record = logging.makeLogRecord({"levelname": "WARNING", "msg": "%s", "args": (HOSTILE,)})
    for facts in (_facts(record), {"time": "now", "path": HOSTILE.replace("\udc80", "")}):
        line = _STYLES[style](facts)
        assert line.isascii() or style == "json"
        assert not any(byte < 0x20 or byte == 0x7F for byte in line)
        if style == "json":
            assert msgspec.json.decode(line) == facts


def test_an_exception_is_in_the_same_line() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.makeLogRecord({"levelname": "ERROR", "msg": "failed", "exc_info": sys.exc_info()})
    facts: Facts = json.loads(_STYLES["json"](_facts(record)))
    assert (facts["level"], facts["message"]) == ("ERROR", "failed")
    assert "ValueError: why" in str(facts["exception"])
