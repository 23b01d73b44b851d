"""How commands print. Text may come from anywhere, and all of it goes through ``printable``."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from drawwell.text import printable

_MOST_CHARACTERS = 20_000
"""Of a line that the user asked for, for example the names of all classes."""


class _Console(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(printable_lines(one) if isinstance(one, str) else one for one in objects), **options)


def console() -> Console:
    """Return a console on standard error, so that output can be piped. It prints text as it is, since a path may look like markup."""
    return _Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def table(rows: Mapping[str, str]) -> list[str]:
    """Return a line for each row, with the names in a column of their own."""
    width = max(map(len, rows))
    return [printable(f"{name:{width}}  {fact}", _MOST_CHARACTERS) for name, fact in rows.items()]


def printable_lines(text: str) -> str:
    """Return our own text of several lines, each made printable."""
    return "\n".join(printable(line, _MOST_CHARACTERS) for line in text.split("\n"))
