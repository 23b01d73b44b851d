"""What the commands print with."""

from rich.console import Console


def console() -> Console:
    """Standard error, so that output can be piped; text as it is, since a path may hold what looks like markup."""
    return Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
