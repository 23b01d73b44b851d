"""How a measurement is taken and written down."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import drawwell
from drawwell.fingerprint import fingerprint

RESULTS = Path(__file__).with_name("results")


def interleaved(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, float]]:
    """Run every case once a round, so that a noisy neighbour disturbs all alike; median, least and most of each."""
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
    """Print, and write ``results/NAME.json`` with the machine and the versions beside the figures."""
    text = json.dumps({"machine": machine(provider), **measured}, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)


def machine(provider: str = "cpu") -> dict[str, Any]:
    """Where figures were taken, and with which versions."""
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
