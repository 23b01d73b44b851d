"""``results/quality.json``: one entry for each experiment, written as soon as it is measured."""

import json
import subprocess
from typing import Any

from benchmarks.report import RESULTS, machine
from drawwell_train import files

FILE = RESULTS / "quality.json"

Entry = dict[str, Any]


def read_all() -> dict[str, Entry]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def read(name: str) -> Entry | None:
    return read_all().get(name)


def write(name: str, entry: Entry) -> None:
    """Put one entry into the file, with the commit and the machine beside it; the others stay."""
    known = read_all() | {name: {**entry, "commit": _commit(), "machine": machine()}}
    files.write(FILE, (json.dumps(known, indent=2, sort_keys=True) + "\n").encode())


def _commit() -> str:
    return subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    ).stdout.strip()
