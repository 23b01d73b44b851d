"""``results/quality.json``: one entry for each experiment, written as soon as it is measured."""

import json
import subprocess
from typing import Any

from benchmarks.report import RESULTS, machine
from drawwell import atomic_files as files

FILE = RESULTS / "quality.json"

Entry = dict[str, Any]


def read_all() -> dict[str, Entry]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def read(name: str) -> Entry | None:
    return read_all().get(name)


def write(name: str, entry: Entry) -> None:
    """Put one entry into the file, with the commit and the machine beside it; the others stay."""
    known = read_all() | {name: signed(entry)}
    files.write(FILE, (json.dumps(known, indent=2, sort_keys=True) + "\n").encode())


def signed(entry: Entry) -> Entry:
    """With the commit and the machine beside it."""
    return {**entry, "commit": _commit(), "machine": machine()}


def _commit() -> str:
    """What measured: a change of the code that is not committed is said, one of results and pages is none."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "*.py"], check=False).returncode
    return commit.stdout.strip() + ("-dirty" if changed else "")
