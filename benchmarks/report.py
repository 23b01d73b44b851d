"""Taking measurements and writing their results."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import drawwell
from drawwell import atomic_files as files
from drawwell.engine.fingerprint import fingerprint

RESULTS = Path(__file__).with_name("results")


def interleaved(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, float]]:
    """Run every case once per round, so that other load disturbs all cases alike. Returns median, minimum and maximum of each."""
    seen: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        case()  # warm
    for _ in range(rounds):
        for name, case in cases.items():
            seen[name].append(case())
    return {name: spread(values) for name, values in seen.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """Mean seconds of one call."""
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begin) / repeats


def write(name: str, measured: Mapping[str, Any], provider: str = "cpu") -> None:
    """Print the figures, and write them to ``results/NAME.json`` with the machine and the versions."""
    print(_put(name, {"machine": machine(provider), **measured}))


class Report:
    """``results/NAME.json`` of a long measurement, written after each figure: a run that is cut leaves what it has measured.

    As long as a figure is missing the file is ``NAME-partial.json``, and a short run's name ends with ``-short``:
    neither takes the place of a whole, long one.
    """

    def __init__(
        self,
        name: str,
        expected: Iterable[tuple[str, ...]],
        provider: str = "cpu",
        short: bool = False,
        quick: bool = False,
        **facts: Any,
    ) -> None:
        """``expected``: of each figure the keys that lead to it. ``facts`` are known before the first. ``quick`` writes nothing."""
        self._quick = quick
        self._name, self._missing = f"{name}-short" if short else name, dict.fromkeys(expected)
        self.measured: dict[str, Any] = {"machine": machine(provider), "short": short, **facts}

    def add(self, *keys: str, figure: Any, whole: bool = True) -> None:
        """Put a figure in its place and write the file; not ``whole`` is one of which more rounds follow."""
        place = self.measured
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = figure
        if whole:
            self._missing.pop(keys, None)
        if not self._quick:
            self._write()

    def _write(self) -> None:
        state = {"complete": not self._missing, "missing": [", ".join(keys) for keys in self._missing]}
        if self._missing:
            _put(f"{self._name}-partial", state | self.measured)
            return
        print(_put(self._name, state | self.measured))
        (RESULTS / f"{self._name}-partial.json").unlink(missing_ok=True)


def _put(name: str, content: Mapping[str, Any]) -> str:
    """Write ``results/NAME.json``, whole or not at all. Returns its text."""
    text = json.dumps(content, indent=2)
    RESULTS.mkdir(exist_ok=True)
    files.write(RESULTS / f"{name}.json", (text + "\n").encode())
    return text


def machine(provider: str = "cpu") -> dict[str, Any]:
    """Return the machine and the versions for a results file."""
    return {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "drawwell": drawwell.__version__,
        "fingerprint": fingerprint(provider),
    }


def _processor_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
