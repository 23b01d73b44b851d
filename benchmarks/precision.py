"""How far apart two machines, or two versions, draw the same addresses.

On the one: ``python -m benchmarks.precision save drawn.npz``. On the other, or under an emulated processor
(``qemu-x86_64 -cpu Haswell .venv/bin/python -m benchmarks.precision compare drawn.npz --name avx2-emulated``), the same
addresses are drawn and compared, and the result goes into ``results/precision.json`` under that name.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import drawwell
from benchmarks.report import RESULTS
from drawwell.errors import ProviderError
from drawwell.latents import latents
from drawwell.opening import bundled

SEED, ADDRESSES = 7, 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["save", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--name", help="what is unlike the machine that saved")
    options = parser.parse_args()
    if options.what == "save":
        arrays: dict[str, Any] = {name: draw(name) for name in drawn_names()}
        np.savez(options.file, versions=versions(), **arrays)
        return
    with np.load(options.file) as saved:
        found = {name: compared(name, saved[name]) for name in drawn_names()}
        record({options.name: {"here": versions(), "against": str(saved["versions"]), "levels": found}})


def drawn_names() -> list[str]:
    return ["latents", *bundled()]


def draw(name: str) -> np.ndarray:
    if name == "latents":
        return latents(SEED, range(ADDRESSES), 100)
    return drawwell.open(name, provider="cpu", threads=1).generate(SEED, ADDRESSES).images


def compared(name: str, saved: np.ndarray) -> dict[str, Any]:
    try:
        distance = np.abs(draw(name).astype(np.float64) - saved)
    except ProviderError as error:
        return {"refused": str(error).split(": ", 1)[1]}
    return {"max": distance.max(), "differing_share": np.count_nonzero(distance) / distance.size, "n": distance.size}


def versions() -> str:
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, drawwell {drawwell.__version__}"


def record(entry: dict[str, Any]) -> None:
    file = RESULTS / "precision.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    text = json.dumps(known | entry, indent=2)
    file.write_text(text + "\n")
    print(json.dumps(entry, indent=2))


if __name__ == "__main__":
    main()
