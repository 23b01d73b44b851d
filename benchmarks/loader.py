"""Images a second of a torch ``DataLoader`` with 2 workers over a server, beside the bare rate of the server's npy replies.

``python -m benchmarks.loader`` writes ``results/loader.json``; ``--short`` takes fewer rounds and writes ``results/loader-short.json``.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import psutil
import torch
from torch.utils.data import DataLoader

import drawwell
from benchmarks.contenders import ours
from benchmarks.report import machine, spread, write
from benchmarks.servers import Server, serving

WORKERS, BATCH, IMAGES, ROUNDS = 2, 512, 65_536, 7
SHORT_IMAGES, SHORT_ROUNDS = 16_384, 2
NPY = {"Accept": "application/x-npy"}

_seeds = itertools.count(10**9)
"""No case asks for images that another has drawn."""

Case = Callable[[], int]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    rounds, images = (SHORT_ROUNDS, SHORT_IMAGES) if short else (ROUNDS, IMAGES)
    before = machine()
    with serving("drawwell", ours("fashion", "cpu")) as server:
        measured = measure(server, images, rounds)
    write(
        "loader-short" if short else "loader",
        {"machine": before | {"torch": torch.__version__}, "workers": WORKERS, "batch": BATCH, "images": images}
        | measured,
    )


def measure(server: Server, images: int, rounds: int) -> dict[str, Any]:
    """Run each case once a round, so that other load disturbs all alike."""
    url = str(server.client.base_url)
    cases: dict[str, Case] = {
        "bare npy": partial(bare, url, images),
        "TorchDataset, shuffled": partial(map_style, url, images),
        "TorchStream": partial(stream, url, images),
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            seen[name].append(timed(case, server))
    figures = {name: figures_of(values) for name, values in seen.items()}
    shares = {
        name: spread([one[0] / base[0] for one, base in zip(values, seen["bare npy"], strict=True)])
        for name, values in seen.items()
    }
    return {"cases": figures, "of_bare_rate": shares}


def figures_of(values: list[tuple[float, float]]) -> dict[str, dict[str, float]]:
    rates, shares = zip(*values, strict=True)
    return {"images_a_second": spread(rates), "cpu_share_of_server": spread(shares)}


def timed(case: Case, server: Server) -> tuple[float, float]:
    """Images a second, and the share of the machine's cores that the server used."""
    begin, used = time.perf_counter(), cpu_seconds(server)
    images = case()
    seconds = time.perf_counter() - begin
    return images / seconds, (cpu_seconds(server) - used) / seconds / (psutil.cpu_count() or 1)


def cpu_seconds(server: Server) -> float:
    family = [server.process, *server.process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in family)


def bare(url: str, images: int) -> int:
    """As many connections as the loader has workers, whose replies nobody looks at."""
    seed = next(_seeds)
    with httpx.Client(base_url=url, headers=NPY, timeout=60) as client:

        def ask(start: int) -> None:
            client.post("/generate", json={"seed": seed, "start": start, "count": BATCH}).raise_for_status()

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(ask, range(0, images, BATCH)))
    return images


def map_style(url: str, images: int) -> int:
    return count(drawwell.datasets.TorchDataset(url, seed=next(_seeds), size=images), shuffle=True)


def stream(url: str, images: int) -> int:
    return count(drawwell.datasets.TorchStream(url, seed=next(_seeds), size=images, request_images=BATCH))


def count(dataset: "drawwell.datasets.TorchDataset | drawwell.datasets.TorchStream", shuffle: bool = False) -> int:
    loader = DataLoader(dataset, batch_size=BATCH, num_workers=WORKERS, shuffle=shuffle)
    seen = sum(len(images) for images, _ in loader)
    dataset.generator.close()
    return seen


if __name__ == "__main__":
    main()
