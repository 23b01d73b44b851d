"""From what a user names to a generator: a URL, a file, or a bundled one."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from drawwell.errors import GeneratorFileError, RequestError
from drawwell.text import printable, reason

if TYPE_CHECKING:
    from drawwell.engine.onnx_session import Provider
    from drawwell.generator import ImageGenerator

_MODELS = Path(__file__).with_name("models")


def open_generator(
    target: str | os.PathLike[str], *, provider: "Provider" = "auto", threads: int | None = None
) -> "ImageGenerator":
    """Open a generator: ``http://...`` or ``https://...``, the path of a generator file, or the name of a bundled one.

    A server's key is sent from the environment variable DRAWWELL_KEY, as ``Authorization: Bearer KEY``, to whatever URL is opened.
    ``provider`` (``auto``, ``cuda``, ``cpu``) and ``threads`` (by default one a core) are those of a local generator.
    Raises ``GeneratorFileError``, ``ProviderError``, ``RequestError`` or a ``ServerError``.
    """
    if is_url(target):
        if provider != "auto" or threads is not None:
            raise RequestError("provider and threads are the server's to choose; leave them out for a URL")
        from drawwell.http.client import Client

        return Client(str(target))
    from drawwell.engine.engine import Engine

    return Engine(find_file(target), provider, threads)


def is_url(target: str | os.PathLike[str]) -> bool:
    """Whether this names a server and no file: one that is called so cannot be meant."""
    return re.match(r"[a-z][a-z0-9+.-]+://", str(target), re.IGNORECASE) is not None


def find_file(target: str | os.PathLike[str]) -> Path:
    """The path of a bundled generator by its name, else ``target`` itself. Raises ``GeneratorFileError`` where there is neither."""
    names, name = bundled(), printable(target)
    try:
        path = Path(target).expanduser()
        if path.is_file():
            return path
        if str(target) in names:
            return _MODELS / f"{target}.onnx"
        if path.is_dir():
            raise GeneratorFileError(f"{name}: is a folder; name the file in it, for a run what drawwell export wrote")
        if path.exists():
            raise GeneratorFileError(f"{name}: is a pipe or a device, not a file")
    except (OSError, RuntimeError, ValueError) as error:  # too long, not allowed; ~ of nobody; a zero in it
        raise GeneratorFileError(f"{name}: cannot be opened ({reason(error)})") from error
    hint = f"; for a server write http://{name}" if re.fullmatch(r"[\w.-]+:\d+(/.*)?", str(target)) else ""
    raise GeneratorFileError(f"{name}: no such file; bundled generators: {', '.join(names)}{hint}")


def bundled() -> list[str]:
    """The names of the generators that come with drawwell."""
    return sorted(file.stem for file in _MODELS.glob("*.onnx"))
