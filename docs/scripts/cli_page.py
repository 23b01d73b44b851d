"""docs/reference/cli.md, written from the help of the commands: ``python -m docs.scripts.cli_page``."""

import contextlib
import io
import os
import re
from pathlib import Path
from unittest import mock

from drawwell.cli.main import run

PAGE = Path(__file__).parents[1] / "reference" / "cli.md"
_INTRODUCTION = """\
# Commands

`python -m docs.scripts.cli_page` writes this page from the commands' own help. `python -m drawwell` is the same as `drawwell`.

The exit code is 0 when a command did what it was asked to, 1 when it could not, 2 for wrong usage, 130 when it was interrupted, and 141 if
nobody read its output. The output of a command goes to standard output, and everything else that it says to standard error.
"""
_HEADER = "| {} | meaning |\n|---|---|"
_FRAMES = str.maketrans("", "", "╮╰╯│─")
_TERMINAL = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}


def page() -> str:
    """The whole page: each command that `drawwell --help` names, with a table of its options."""
    overview = help_of()
    names = re.findall(r"^  (\w+)  ", overview, re.MULTILINE)
    return "\n".join([_INTRODUCTION, f"```text\n{overview}```\n", *map(_section, names)])


def help_of(*command: str) -> str:
    """The help of a command as it prints it on a terminal of 100 columns without colours."""
    text = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with mock.patch.dict(os.environ, _TERMINAL), contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        run([*command, "--help"])
    text.seek(0)
    return text.read()


def _section(command: str) -> str:
    usage, *groups = help_of(command).split("╭")
    prose = " ".join(line or "\n\n" for line in usage.strip().splitlines()[1:]).strip()
    text = f"## drawwell {command}\n\n`{usage.splitlines()[0]}`\n\n" + re.sub(r" *\n\n *", "\n\n", prose) + "\n"
    return text + "".join(f"\n{_table(group)}\n" for group in groups)


def _table(group: str) -> str:
    """The rows of a group of arguments. Each begins a line, and its text goes on in further lines."""
    first, *lines = (line.translate(_FRAMES).rstrip() for line in group.splitlines())
    rows: list[tuple[str, str]] = []
    for line in filter(None, lines):
        if line.startswith("  "):
            rows[-1] = rows[-1][0], f"{rows[-1][1]} {line.strip()}".strip()
        else:
            name, _, text = line.strip().partition("  ")
            rows.append((name, text.strip()))
    heading = _HEADER.format(first.strip().removesuffix("s").replace("options", "option"))
    return "\n".join([heading, *(_row(name, text) for name, text in rows)])


def _row(name: str, text: str) -> str:
    """A row of the table. Its first cell stays narrow: the choices of an option go into the second."""
    option, *others = name.removeprefix("-h, ").split(" ", 1)
    if choices := re.search(r"\{(.*?)\}", " ".join(others)):
        return f"| `{option}` | `{choices[1].replace(',', '`, `')}`. {_escaped(text)} |"
    shown = " ".join([option, *others]).replace("|", "\\|")
    return f"| `{shown}` | {_escaped(text)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
