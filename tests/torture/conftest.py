"""Promises under load, cuts and rubbish: short counts among the other tests, full counts by `make torture`."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.report import write

FULL = "DRAWWELL_TORTURE" in os.environ

Record = Callable[..., None]


def times(full: int, short: int) -> int:
    """How often a promise is put to the test."""
    return full if FULL else short


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Write what was seen to ``benchmarks/results/torture-NAME.json``, in a run with full counts."""

    def to_json(**seen: Any) -> None:
        if FULL:
            name = request.node.name.removeprefix("test_").replace("[", "--").removesuffix("]")
            write("torture-" + name.replace("_", "-"), seen)

    return to_json
