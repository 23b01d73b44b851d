"""From a name, a path or a URL to a generator."""

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drawwell.errors import GeneratorFileError, RequestError
from drawwell.text import printable, reason

if TYPE_CHECKING:
    from drawwell.engine.onnx_session import Provider
    from drawwell.generator import ImageGenerator
    from drawwell.http.keys import Key

_MODELS = Path(__file__).with_name("models")


def open_generator(
    target: str | os.PathLike[str] | Sequence[str],
    *,
    key: "Key | None" = None,
    timeout: float | None = None,
    retry_for: float | None = None,
    digest: str | None = None,
    pin: bool = True,
    provider: "Provider" = "auto",
    threads: int | None = None,
) -> "ImageGenerator":
    """Open a generator: a bundled one, a file, or one on a server or on several.

    What a text means does not depend on the current folder. ``http://...`` and ``https://...`` are servers; a
    list of URLs is several servers of one generator, of which the first that works is asked. A text with a
    separator or an ending (``./generator``, ``generator.onnx``) is a path, and so is every ``pathlib.Path``. Any other text is the
    name of a bundled generator: ``emoji``, ``fashion``, ``fashion-int8`` or ``fashion-mixture``.

    Args:
        target: A name, a path, a URL, or a list of URLs.
        key: The server's key; by default the environment variable DRAWWELL_KEY. For several hosts a mapping from URLs to
            keys. For a URL only.
        timeout: Seconds for each connect, read and write, 30 by default. For a URL only.
        retry_for: Seconds after which a failing call is given up; 0 tries once. By default the environment variable
            DRAWWELL_RETRY_FOR, or else 60. For a URL only.
        digest: SHA-256 of the generator to draw with; a server that has another one is asked again, for ``retry_for`` seconds. For
            a URL only.
        pin: Whether a server that changes its generator stops the calls; with ``False`` the client goes over to the new
            generator. For a URL only.
        provider: Draw on ``cuda`` or ``cpu``; ``auto`` takes CUDA if a device can be used. For a file or a bundled generator only.
        threads: The most that draw at once on the CPU, by default one for each core. For a file or a bundled generator only.

    Returns:
        The generator: a ``Client`` for a URL, else an ``Engine``. Close it, or open it in a ``with`` statement.

    Raises:
        RequestError: An argument is wrong, or does not apply to this target.
        GeneratorFileError: There is no such generator, or the file is no whole, valid one.
        ProviderError: The provider cannot be used, or draws wrong pixels.
        ServerError: The server cannot be used.

    Example:
        >>> with drawwell.open("fashion") as generator:
        ...     batch = generator.generate(seed=7, count=64)
        >>> batch.images.shape, batch.images.dtype, batch.labels[:3].tolist()
        ((64, 28, 28, 1), dtype('uint8'), [9, 0, 3])
    """
    of_server: dict[str, Any] = {"key": key, "timeout": timeout, "retry_for": retry_for, "digest": digest}
    given = {name: value for name, value in of_server.items() if value is not None} | ({} if pin else {"pin": pin})
    if not isinstance(target, str | os.PathLike):
        target = _check_list(target)
    if isinstance(target, list) or is_url(target):
        if provider != "auto" or threads is not None:
            raise RequestError("provider and threads are for a generator on this machine: leave them out for a URL")
        from drawwell.http.client import Client

        return Client(target if isinstance(target, list) else str(target), **given)
    if given:
        raise RequestError(f"{' and '.join(given)}: only for a server's URL, which {printable(target)!r} is not")
    from drawwell.engine.engine import Engine

    return Engine(find_file(target), provider, threads)


def _check_list(targets: Sequence[str]) -> list[str]:
    for target in targets:
        if not is_url(target):
            raise RequestError(
                f"{printable(target)}: a list names servers, by URLs that begin with http:// or https://"
            )
    return [*targets]


def is_url(target: str | os.PathLike[str]) -> bool:
    """Return whether a target names a server. A path never does."""
    return isinstance(target, str) and re.match(r"[a-z][a-z0-9+.-]+://", target, re.IGNORECASE) is not None


def find_file(target: str | os.PathLike[str]) -> Path:
    """Return the file of a bundled generator, or of a path. Raises ``GeneratorFileError`` if there is none."""
    if is_url(target):
        raise GeneratorFileError(f"{printable(target)}: is a URL; name a generator file or a bundled generator")
    if isinstance(target, str) and not _is_path(target):
        return _find_bundled(target)
    name = printable(target)
    try:
        path = Path(target).expanduser()
        if path.is_file():
            return path
        if path.is_dir():
            raise GeneratorFileError(f"{name}: is a folder; name the file in it (drawwell export writes one for a run)")
        if path.exists():
            raise GeneratorFileError(f"{name}: is a pipe or a device, not a file")
    except (OSError, RuntimeError, ValueError) as error:  # too long, not allowed; ~ of nobody; a zero in it
        raise GeneratorFileError(f"{name}: cannot be opened ({reason(error)})") from error
    hint = _hint(name)
    raise GeneratorFileError(f"{name}: no such file" + (f"; {hint}" if hint else ""))


def find_discriminator(target: str | os.PathLike[str]) -> Path:
    """Return the discriminator beside a generator, or else the file itself.

    Raises ``GeneratorFileError`` if there is no file, or if the discriminator belongs to another generator.
    """
    from drawwell.files.discriminator_file import check_belongs, discriminator_beside, read_discriminator
    from drawwell.files.generator_file import read_generator

    path = find_file(target)
    beside = discriminator_beside(path)
    if not beside.is_file():
        if path.parent == _MODELS and path.stem in (names := bundled()):
            judged = (name for name in names if discriminator_beside(_MODELS / f"{name}.onnx").is_file())
            raise GeneratorFileError(
                f"{path.stem}: comes without a discriminator; these come with one: {', '.join(judged)}"
            )
        return path
    check_belongs(read_discriminator(beside).card, beside, read_generator(path).digest)
    return beside


def bundled() -> list[str]:
    """Return the names of the generators that come with drawwell."""
    return sorted(file.stem for file in _MODELS.glob("*.onnx") if not file.stem.endswith("-discriminator"))


def _is_path(text: str) -> bool:
    return "/" in text or os.sep in text or bool(Path(text).suffix)


def _find_bundled(name: str) -> Path:
    if not name:
        raise GeneratorFileError(
            f"the name of the generator is empty: give a bundled one ({', '.join(bundled())}), a path or a URL"
        )
    if name not in bundled():
        shown = printable(name)
        raise GeneratorFileError(
            f"{shown}: there is no bundled generator of this name, only {', '.join(bundled())}; "
            f"{_hint(shown) or f'for a file write ./{shown}'}"
        )
    if Path(name).is_file():
        warnings.warn(f"{name} is the bundled generator; for the file of this name write ./{name}", stacklevel=4)
    return _MODELS / f"{name}.onnx"


def _hint(name: str) -> str:
    """For the address of a server without its scheme."""
    return f"for a server write http://{name}" if re.fullmatch(r"[\w.-]+:\d+(/.*)?", name) else ""
