"""What each rule of ``drawwell select`` keeps and gains, for docs/reports/quality.md: ``python -m benchmarks.quality.selections DATA``.

One gate and one set of unselected images serve all rules. Classifiers see fewer images than in the command, so that all rules take
minutes. ``--page`` only writes the table again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec
import torch

import drawwell
from benchmarks import report
from benchmarks.pages import REPORTS, replace_section
from drawwell.files.selected import Rule
from drawwell.generator import ImageGenerator
from drawwell_train.evaluation.reference import Sources
from drawwell_train.selecting.budgets import read_budgets
from drawwell_train.selecting.candidates import Chosen, Stream, choose
from drawwell_train.selecting.gain import train_meter
from drawwell_train.selecting.gate import Gate, learn_gate, read_real
from drawwell_train.selecting.main import to_selection
from drawwell_train.selecting.rules import Criteria, read_criteria

NAME = "selections"
PAGE = REPORTS / "quality.md"
RULES: tuple[tuple[Rule, float | None], ...] = (("agree", None), ("confident", None), ("diverse", None))
LARGE = 60_000
_MOST_CANDIDATES = 2**20


def main() -> None:
    """Measure all rules, and write results and page after each."""
    options = _options()
    if not options.page:
        torch.set_num_threads(1)
        with drawwell.open(options.generator, threads=1) as generator:
            _measure(options, generator)
    _write_page()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--generator", default="fashion")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--gate-images", type=int, default=60_000)
    parser.add_argument("--images-seen", type=int, default=20_000)
    parser.add_argument("--classifiers", type=int, default=3)
    parser.add_argument("--page", action="store_true")
    return parser.parse_args()


def _measure(options: argparse.Namespace, generator: ImageGenerator) -> None:
    stream = Stream(0, 0, _MOST_CANDIDATES)
    budgets = read_budgets(generator.card, options.count, None)
    real = read_real(Sources(options.data), generator.card, budgets)
    gate = learn_gate(real, options.gate_images, print)
    meter = train_meter(generator, real.validation, stream, budgets, options.classifiers, options.images_seen, print)
    rows: dict[str, Any] = {}
    for rule, share in RULES:
        criteria = read_criteria(rule, None, share)
        chosen = choose(generator, gate.classifier, stream, budgets, criteria, print)
        gain = meter.measure(chosen.indices)
        selection = to_selection(generator, stream, budgets, criteria, gate, chosen, gain)
        rows[rule] = {"bytes": len(selection.to_bytes()), "how": selection.how}
        _write(options, rows)
    rows["agree"]["large"] = _large(generator, gate, stream, read_criteria("agree", None, None))
    _write(options, rows)


def _large(generator: ImageGenerator, gate: Gate, stream: Stream, criteria: Criteria) -> dict[str, int]:
    """The size of a selection of 60,000 images, without the record of its gain."""
    budgets = read_budgets(generator.card, LARGE, None)
    chosen: Chosen = choose(generator, gate.classifier, stream, budgets, criteria, print)
    content = drawwell.Selection(
        generator.digest, stream.seed, chosen.indices, how={"gate": msgspec.to_builtins(gate.record)}
    )
    return {"images": LARGE, "candidates": chosen.candidates, "bytes": len(content.to_bytes())}


def _write(options: argparse.Namespace, rows: dict[str, Any]) -> None:
    command = f"python -m benchmarks.quality.selections {Path(options.data).name} --generator {options.generator} --count {options.count}"
    command += (
        f" --gate-images {options.gate_images} --images-seen {options.images_seen} --classifiers {options.classifiers}"
    )
    report.write(NAME, {"command": command, "rules": rows})


def _write_page() -> None:
    measured = json.loads((report.RESULTS / f"{NAME}.json").read_text())
    replace_section(PAGE, NAME, f"benchmarks/results/{NAME}.json", table(measured))


def table(measured: dict[str, Any]) -> str:
    """A row for each rule; below it the file's size, the command and the machine."""
    lines = [
        "| rule | images passed | lowest of a class | GAN-train, selected | unselected | gain, points (deviation) | bytes of the file |",
        "|---" * 7 + "|",
        *(_row(rule, entry) for rule, entry in measured["rules"].items()),
    ]
    gain = next(iter(measured["rules"].values()))["how"]["gain"]
    lines += [
        "",
        f"{gain['classifiers']} classifiers of each kind, {gain['images']:,} images, {gain['images_seen']:,} with repeats.",
    ]
    if large := measured["rules"]["agree"].get("large"):
        lines[-1] += (
            f" A selection of {large['images']:,} images by `agree` needs {large['candidates']:,} candidates, "
            f"and its file has {large['bytes']:,} bytes."
        )
    machine = measured["machine"]
    return "\n".join([*lines, "", f"`{measured['command']}`, one thread of {machine['processor']}.", ""])


def _row(rule: str, entry: dict[str, Any]) -> str:
    how = entry["how"]
    gain = how["gain"]
    shares = {name: how["passed"][name] / how["scored"][name] for name in how["scored"]}
    worst = min(shares, key=lambda name: shares[name])
    passed = sum(how["passed"].values()) / sum(how["scored"].values())
    points, deviation = 100 * (gain["selected"] - gain["unselected"]), gain["deviation"]
    spread = f" ({100 * deviation:.1f})" if deviation is not None else ""
    cells = (
        f"`{rule}`",
        f"{passed:.1%}",
        f"{shares[worst]:.1%} ({worst})",
        f"{gain['selected']:.1%}",
        f"{gain['unselected']:.1%}",
        f"{points:+.1f}{spread}",
        f"{entry['bytes']:,}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
