"""``POST /generate`` as npy of our server, beside two peers that serve the plain export: FastAPI and LitServe.

1.00 is the plain export in a bare default session of ONNX Runtime on all cores, latents made beforehand, 64 images at once:
nothing is checked, converted or sent. All servers of a model are started once and stay, since a start costs more than a
stretch; but only the one whose turn it is runs, the others are stopped as ^Z does, because on two cores even idle servers
are in the way. In each round the bare session and then each server have their turn, and ratios are taken within a round.
The client is wrk, on the same machine. The file is written after each round.
"""

import argparse
import importlib.metadata
import io
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks import table
from benchmarks.client import Case, Stretch, drive, insist_on_wrk, warm
from benchmarks.contenders import DEPENDENCIES, contenders
from benchmarks.engine import random
from benchmarks.lone import beside_long
from benchmarks.race import race
from benchmarks.report import Report, spread
from benchmarks.servers import Server, serving
from benchmarks.starts import first_replies
from drawwell.addresses.latents import latents
from drawwell.engine.onnx_session import Provider

CASES = {"A": Case(clients=1, count=1), "B": Case(32, 1), "C": Case(8, 16), "D": Case(2, 256)}
SIZES = {"dcgan64": 64, "small": 32}
BARE_IMAGES, BARE_ROUNDS = 64, 3
WARM_SECONDS = 0.3


@dataclass(frozen=True)
class Plan:
    """The rounds and times of a measurement; a short one takes a minute or two."""

    provider: Provider
    cases: Mapping[str, Case]
    rounds: int = 5
    seconds: float = 4
    """Of a stretch."""
    sizes: Mapping[str, int] = field(default_factory=lambda: SIZES)
    lone_rounds: int = 3
    starts: int = 5


_SHORT: dict[str, Any] = {"rounds": 1, "seconds": 1, "sizes": {"dcgan64": 64}, "lone_rounds": 1, "starts": 1}


def main() -> None:
    options = arguments()
    plan = plan_of(options)
    insist_on_wrk()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # through the ends of all servers
    report = report_of(plan, options.short, quick=bool(options.only))
    with tempfile.TemporaryDirectory() as folder:
        for name, size in plan.sizes.items():
            measure(name, size, Path(folder) / name, plan, report)
    report.add("seconds_to_first_reply", figure=first_replies(plan.provider, plan.starts))
    print(table.serving_figures(report.measured))
    if plan.provider == "cpu" and not options.short and not options.only:
        table.update_serving()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, help=f"by default {Plan.rounds}; short: {_SHORT['rounds']}")
    parser.add_argument(
        "--seconds", type=float, help=f"of each stretch; by default {Plan.seconds}; short: {_SHORT['seconds']}"
    )
    parser.add_argument("--short", action="store_true", help="one model, one round, one start: a minute or two")
    parser.add_argument(
        "--only", nargs="+", choices=CASES, metavar="CASE", help="measure only these cases, without writing results"
    )
    return parser.parse_args()


def plan_of(options: argparse.Namespace) -> Plan:
    plan = Plan(options.provider, {name: CASES[name] for name in options.only or CASES})
    given = {name: value for name in ("rounds", "seconds") if (value := getattr(options, name)) is not None}
    return replace(plan, **(_SHORT if options.short else {}) | given)


def report_of(plan: Plan, short: bool, quick: bool) -> Report:
    figures = ("bare_images_a_second", "servers", "lone_beside_long")
    expected = [("models", name, figure) for name in plan.sizes for figure in figures]
    return Report(
        f"serving-{plan.provider}",
        [*expected, ("seconds_to_first_reply",)],
        plan.provider,
        short,
        quick,
        versions={name: importlib.metadata.version(name) for name in DEPENDENCIES},
        cases={name: asdict(case) for name, case in plan.cases.items()},
        seconds_of_a_stretch=plan.seconds,
    )


def measure(name: str, size: int, folder: Path, plan: Plan, report: Report) -> None:
    """One generator with random weights: all rounds, and a lone image beside long requests."""
    bare: list[float] = []
    seen: dict[str, list[dict[str, Stretch]]] = {}
    with ExitStack() as stack:
        servers = {}
        for server, contender in contenders(random(size), folder, plan.provider).items():
            servers[server] = stack.enter_context(serving(server, contender))
            check(server, servers[server], plan.cases, size)
            servers[server].sleep()
        for turn in range(plan.rounds):
            bare.append(bare_images_a_second(folder / "plain.onnx", plan.provider))
            for server in turned(list(servers), turn):
                seen.setdefault(server, []).append(stretches(servers[server], plan, 3 * size**2))
                print(name, server, in_words(seen[server][-1], bare[-1]), flush=True)
            last = turn + 1 == plan.rounds
            by_server = {server: {case: figures(seen[server], case, bare) for case in plan.cases} for server in servers}
            report.add("models", name, "bare_images_a_second", figure=spread(bare), whole=last)
            report.add("models", name, "servers", figure=by_server, whole=last)
        lone = {
            server: beside_long(one, plan.seconds, 3 * size**2, plan.lone_rounds)
            for server, one in servers.items()
            if server.startswith("drawwell")
        }
        report.add("models", name, "lone_beside_long", figure=lone)


def turned(names: list[str], turn: int) -> list[str]:
    """Rotate the order by ``turn``, so that no server is always measured last after the bare session."""
    return names[turn % len(names) :] + names[: turn % len(names)]


def check(name: str, server: Server, cases: Mapping[str, Case], size: int) -> None:
    """Exit if a reply is not the expected array: all servers must do the same work."""
    for case in cases.values():
        images = np.load(io.BytesIO(server.generate(7, case.count)))
        if images.dtype != np.uint8 or images.shape != (case.count, size, size, 3) or images.min() == images.max():
            raise SystemExit(f"{name} sent {images.dtype} {images.shape} for {case.count} images of {size} px")


def stretches(server: Server, plan: Plan, image_bytes: int) -> dict[str, Stretch]:
    """One turn. What has just been woken is slow for a moment, and so is the first of another case."""
    seen = {}
    with server.awake():
        for name, case in plan.cases.items():
            warm(server, case, WARM_SECONDS)
            seen[name] = drive(server, case, plan.seconds, image_bytes)
    return seen


def in_words(seen: Mapping[str, Stretch], bare: float) -> str:
    return ", ".join(
        f"{case} {one.images_a_second:,.0f} ({one.images_a_second / bare:.2f}x)" for case, one in seen.items()
    )


def figures(seen: list[dict[str, Stretch]], case: str, bare: list[float]) -> dict[str, dict[str, float]]:
    """Of one server in one case."""
    stretches = [by_case[case] for by_case in seen]
    rates = [stretch.images_a_second for stretch in stretches]
    return {
        "images_a_second": spread(rates),
        "against_bare": spread([rate / one for rate, one in zip(rates, bare, strict=True)]),
        "p50_ms": spread([stretch.p50_ms for stretch in stretches]),
        "p99_ms": spread([stretch.p99_ms for stretch in stretches]),
    }


def bare_images_a_second(file: Path, provider: Provider) -> float:
    """Measure the bare session in a process of its own, which ends before the servers have their turns."""
    return statistics.median(race({"bare": (run_bare, (file, provider))}, BARE_IMAGES, BARE_ROUNDS)["bare"])


def run_bare(file: Path, provider: Provider) -> Callable[[], Any]:
    expected = f"{provider.upper()}ExecutionProvider"
    if provider == "cuda":
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(file, providers=[expected])
    if session.get_providers()[0] != expected:
        raise SystemExit(f"{expected} is not available on this machine")
    z = latents(7, range(BARE_IMAGES), session.get_inputs()[0].shape[1])
    return lambda: session.run(None, {"z": z})


if __name__ == "__main__":
    main()
