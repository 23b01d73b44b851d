"""What the commands print with. Text may come from anywhere, and all of it goes through ``printable``."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from drawwell.text import printable

_MOST_CHARACTERS = 20_000
"""Of a line that was asked for, such as the names of all classes."""


class _Console(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(printable_lines(one) if isinstance(one, str) else one for one in objects), **options)


def console() -> Console:
    """Standard error, so that output can be piped; text as it is, since a path may hold what looks like markup."""
    return _Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def table(rows: Mapping[str, str]) -> list[str]:
    """A line for each row, the names in a column of their own."""
    width = max(map(len, rows))
    return [printable(f"{name:{width}}  {fact}", _MOST_CHARACTERS) for name, fact in rows.items()]


def printable_lines(text: str) -> str:
    """The same of a text of ours that has several lines."""
    return "\n".join(printable(line, _MOST_CHARACTERS) for line in text.split("\n"))
