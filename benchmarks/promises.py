"""docs/promises.md: what is promised, which test asks for it, how often, and what was seen, written from ``results/torture-*.json``."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "promises.md"
TESTS = ROOT / "tests" / "torture"

_BEGIN, _END = "<!-- from benchmarks/results/torture-*.json -->\n", "<!-- end -->"


@dataclass(frozen=True)
class Promise:
    """A test, the first sentence of its docstring, or else its name as one, and whether it writes down what it sees."""

    sentence: str
    test: str
    name: str
    records: bool

    def results(self) -> list[dict[str, Any]]:
        """Those of the last run with full counts: of a test with parameters one for each."""
        files = sorted(RESULTS.glob(f"torture-{self.name}*.json"))
        stems = (f"torture-{self.name}", f"torture-{self.name}[")
        return [
            json.loads(file.read_text()) for file in files if file.stem == stems[0] or file.stem.startswith(stems[1])
        ]


def update() -> None:
    """Write the table into the page, between its two marks."""
    before, rest = PAGE.read_text().split(_BEGIN)
    PAGE.write_text(before + _BEGIN + table() + _END + rest.split(_END, 1)[1])


def promises() -> Iterator[Promise]:
    """Those of ``tests/torture``, read and not run: the server's first, then those of the folders below."""
    for file in (*sorted(TESTS.glob("test_*.py")), *sorted(TESTS.glob("*/test_*.py"))):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = node.name.removeprefix("test_").replace("_", " ").capitalize() + "."
                sentence = (ast.get_docstring(node) or words).split("\n\n")[0].replace("\n", " ")
                records = any(argument.arg == "record" for argument in node.args.args)
                name = node.name.removeprefix("test_").replace("_", "-")
                yield Promise(sentence, file.relative_to(TESTS).as_posix(), name, records)


def table() -> str:
    """A row for each promise, then the machines."""
    every = list(promises())
    lines = ["| promise | put to the test by | times | seen |", "|---|---|---|---|"]
    for promise in every:
        lines += _rows(promise)
    machines = {_machine(result["machine"]) for promise in every for result in promise.results()}
    return "\n".join([*lines, "", *(f"Machine: {machine}." for machine in sorted(machines))]).rstrip() + "\n"


def _rows(promise: Promise) -> Iterator[str]:
    results = promise.results()
    if not results:
        seen = "not yet run with its full count" if promise.records else "it holds, or the test fails"
        yield f"| {promise.sentence} | {promise.test} | | {seen} |"
    for result in results:
        figures = {name: value for name, value in result.items() if name not in ("machine", "count")}
        seen = "; ".join(f"{name.replace('_', ' ')}: {_in_words(value)}" for name, value in figures.items())
        yield f"| {promise.sentence} | {promise.test} | {_in_words(result.get('count', ''))} | {seen} |"


def _in_words(value: Any) -> str:
    match value:
        case {"median": median, "min": least, "max": most}:
            return f"{_in_words(median)} ({_in_words(least)} to {_in_words(most)})"
        case dict():
            return ", ".join(f"{name} {_in_words(one)}" for name, one in value.items())
        case list():
            return ", ".join(map(_in_words, value))
        case float():
            return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
        case int():
            return f"{value:,}"
    return str(value)


def _machine(machine: dict[str, Any]) -> str:
    names = ("drawwell", "python", "numpy", "onnxruntime")
    versions = ", ".join(f"{name} {machine[name]}" for name in names)
    return f"{machine['processor']}, {machine['cores']} cores; {versions}"


if __name__ == "__main__":
    update()
