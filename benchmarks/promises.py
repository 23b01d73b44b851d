"""docs/reports/promises.md: each promise, its verdict, one figure and the files behind it, written from ``results/torture-*.json``."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from benchmarks.pages import REPORTS, ROOT, replace_section
from benchmarks.report import RESULTS

PAGE = REPORTS / "promises.md"
TESTS = ROOT / "tests" / "torture"

_FIGURES = {
    "a-bad-line-loses-no-image": "{count:,} images; {lost} lost, {wrong} wrong, {doubled} twice; {requests:,} requests, {needed:,} needed",
    "a-job-outlives-restarts-and-stops-at-another-generator": "{count:,} images; {restarts} restarts; {lost} lost, {doubled} twice",
    "a-client-that-leaves-ends-its-work": "{count:,} clients; work stops after {seconds_until_work_had_stopped[median]:.2f} s",
    "a-clock-that-jumps-by-a-day-changes-nothing": "{other_weights} of {count:,} jumps change weights",
    "a-fork-in-the-middle-of-its-work-loses-nothing": "{count:,} processes lose {lost} images",
    "a-limit-on-the-size-of-files": "{half_written} files half written at {count:,} limits",
    "a-long-stream-is-flat-in-memory-and-rate": "{count:,} images; memory grows by {megabytes_grown} MB",
    "a-stream-that-is-cut-is-taken-up-again": "{count:,} images; cut and resumed at image {taken_up_at_image:,}",
    "an-archive-that-is-cut-is-taken-up-again": "{count:,} images; {cuts_of_each} cuts of each archive",
    "an-error-at-every-system-call-of-a-save": "{half_written} checkpoints half written after {count:,} errors",
    "any-count-from-any-start-is-the-same-images": "{other_bytes} of {count:,} stretches with other bytes",
    "damaged-replies-are-errors-and-never-images": "{count:,} replies; each call ends within {most_seconds} s",
    "every-form-has-the-pixels-of-the-local-engine": "{other_bytes} of {count:,} requests with other bytes",
    "flips-and-cuts-of-checkpoint-files": "{believed} of {count:,} damaged files accepted",
    "kill-9-at-every-system-call-of-a-save": "{unreadable} checkpoints unreadable after {count:,} kills",
    "kill-9-of-a-training-at-a-random-moment": "{unreadable} checkpoints unreadable after {count:,} kills",
    "kill-9-of-a-worker-loses-no-image": "{lost} of {images:,} images lost in {count:,} kills",
    "other-workers-threads-and-a-restart-change-no-byte": "{other_bytes} of {count:,} requests with other bytes",
    "overload-costs-little-and-is-refused-politely": "{kept_of_the_peak:.2f} times the images a second of the peak",
    "pictures-with-flipped-bytes": "{count:,} pictures; {skipped:,} named and skipped",
    "ranks-and-their-workers-draw-every-address-once": "{count:,} addresses in {epochs} epochs; {lost} lost, {doubled} twice",
    "replies-are-as-the-document-says": "{count:,} requests",
    "rubbish-is-answered-or-closed": "{hung} of {count:,} requests hang",
    "sigterm-fails-no-accepted-request": "{failed} of {requests[whole]:,} accepted requests failed in {count:,} stops",
    "sigterm-is-heard-while-a-worker-is-replaced": "{unheard} of {count:,} signals without effect",
    "slow-clients-are-closed-and-slow-down-nobody": "p99 {p99_ms[among slow clients]} ms, without slow clients {p99_ms[quiet]} ms",
}
"""Of each recorded test, the figure that says most, formatted with what the test recorded."""


@dataclass(frozen=True)
class Promise:
    """A test, the first sentence of its docstring (or its name as a sentence), and whether it records figures."""

    sentence: str
    test: str
    name: str
    records: bool

    def results(self) -> dict[str, dict[str, Any]]:
        """The records of the last run with full counts, by file name: one for each set of parameters of the test."""
        files = sorted(RESULTS.glob(f"torture-{self.name}*.json"))
        stem = f"torture-{self.name}"
        return {
            file.name: json.loads(file.read_text())
            for file in files
            if file.stem == stem or file.stem.startswith(f"{stem}--")
        }


def update() -> None:
    """Write the table into the page."""
    replace_section(PAGE, "promises", "benchmarks/results/torture-*.json", table())


def promises() -> Iterator[Promise]:
    """The tests of ``tests/torture``, parsed and not run: the server's first, then the tests in its folders."""
    for file in (*sorted(TESTS.glob("test_*.py")), *sorted(TESTS.glob("*/test_*.py"))):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = node.name.removeprefix("test_").replace("_", " ").capitalize() + "."
                sentence = (ast.get_docstring(node) or words).split("\n\n")[0].replace("\n", " ")
                records = any(argument.arg == "record" for argument in node.args.args)
                name = node.name.removeprefix("test_").replace("_", "-")
                yield Promise(sentence, file.relative_to(TESTS).as_posix(), name, records)


def table() -> str:
    """A row for each promise and set of parameters, then the machines."""
    every = list(promises())
    lines = ["| promise | verdict | figure | files |", "|---|---|---|---|"]
    for promise in every:
        lines += _rows(promise)
    machines = {_machine(result["machine"]) for promise in every for result in promise.results().values()}
    return "\n".join([*lines, "", *(f"Machine: {machine}." for machine in sorted(machines))]).rstrip() + "\n"


def _rows(promise: Promise) -> Iterator[str]:
    test = f"[{promise.test}](../../tests/torture/{promise.test})"
    results = promise.results()
    if not results:
        verdict = "not yet measured with full counts" if promise.records else "kept"
        yield f"| {promise.sentence} | {verdict} | | {test} |"
    for file, result in results.items():
        figure = _FIGURES.get(promise.name, "").format(**result)
        yield f"| {promise.sentence} | kept | {figure} | {test}, [figures](../../benchmarks/results/{quote(file)}) |"


def _machine(machine: dict[str, Any]) -> str:
    names = ("drawwell", "python", "numpy", "onnxruntime")
    versions = ", ".join(f"{name} {machine[name]}" for name in names)
    return f"{machine['processor']}, {machine['cores']} cores; {versions}"


if __name__ == "__main__":
    update()
