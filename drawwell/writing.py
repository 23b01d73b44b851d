"""Files that are whole under their name, or not there."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(out: Path) -> Iterator[BinaryIO]:
    """A new file beside ``out``, which takes its place at the end of the block, and is removed where that fails.

    Its name is one that nobody else has or can foresee, so that two writers do not meet in it, and a link that somebody
    planted is not followed. Raises ``OSError``.
    """
    temporary = out.with_name(f".{secrets.token_hex(8)}.writing")
    try:
        with temporary.open("xb") as stream:
            yield stream
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
