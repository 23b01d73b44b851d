"""Files that are whole under their name, or not there."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_SUFFIX, _RANDOM_BYTES = ".writing", 8


@contextmanager
def replacing(out: Path) -> Iterator[BinaryIO]:
    """A new file beside ``out``, which takes its place at the end of the block, and is removed where that fails.

    Its name is one that nobody else has or can foresee, so that two writers do not meet in it, and a link that somebody
    planted is not followed. Raises ``OSError``.
    """
    temporary = out.with_name(f".{secrets.token_hex(_RANDOM_BYTES)}{_SUFFIX}")
    try:
        with temporary.open("xb") as stream:
            yield stream
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the files that ``replacing`` left in ``folder`` when their process was killed. Raises ``OSError``."""
    for leftover in folder.glob(f".{'[0-9a-f]' * 2 * _RANDOM_BYTES}{_SUFFIX}"):
        leftover.unlink(missing_ok=True)
