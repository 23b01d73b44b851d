"""What the commands print with."""

from collections.abc import Mapping

from rich.console import Console


def console() -> Console:
    """Standard error, so that output can be piped; text as it is, since a path may hold what looks like markup."""
    return Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def table(rows: Mapping[str, str]) -> list[str]:
    """A line for each row, the names in a column of their own."""
    width = max(map(len, rows))
    return [printable(f"{name:{width}}  {fact}") for name, fact in rows.items()]


def printable(line: str) -> str:
    """Without control characters: a card may come from anywhere, and a terminal obeys them."""
    return "".join(c if c.isprintable() else "\ufffd" for c in line)
