"""The exceptions of drawwell. Each can be imported from ``drawwell``, pickled and copied; its text is a sentence for a user.

::

    DrawwellError
    +-- GeneratorFileError      the file is no whole, valid generator or discriminator
    +-- ProviderError           the execution provider cannot be used, or draws wrong pixels
    |   +-- DeviceMemoryError   the memory of the device is full now; the same call may work later
    +-- StoppedError            a signal stopped the work; what was done so far is kept
    +-- WriteError              a file could not be written; its earlier content is unchanged
    +-- SelectionError          the file is no whole selection, or it is of another generator
    +-- PictureError            the picture cannot be decoded
    +-- RequestError            the call itself is wrong; trying again will not help   (also a ValueError)
    +-- ServerError             the server cannot be used
        +-- UnreachableError    no connection, or it broke, or the reply took too long
        +-- UnavailableError    the server answered 429, 502, 503 or 504
        +-- ResponseError       the reply is not the one that was requested

The client raises a ``ServerError`` after all retries. Training, export and serving raise further kinds of ``DrawwellError``. Any other
exception is a mistake in drawwell.

Example:
    >>> try:
    ...     drawwell.open("fashion").generate(seed=-1, count=1)
    ... except drawwell.RequestError as error:
    ...     print(error)
    seed must be in [0, 2**63), not -1
"""

from pathlib import Path
from typing import Any


class DrawwellError(Exception):
    """Base of all exceptions of drawwell."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Python would call the class with the text alone, and a pool whose worker raised would wait for ever
        return _unpickled, (type(self), self.args, self.__dict__)


class GeneratorFileError(DrawwellError):
    """The file is no whole, valid generator or discriminator of drawwell."""


class SelectionError(DrawwellError):
    """The file is no whole selection, or its images are of another generator."""


class PictureError(DrawwellError):
    """The picture cannot be decoded, or is too large."""


class ProviderError(DrawwellError):
    """The execution provider cannot be used, or does not draw the known answers of the card."""


class DeviceMemoryError(ProviderError):
    """The memory of the device is full now; nothing is wrong with the call."""


class StoppedError(DrawwellError):
    """A signal stopped the work. What was done so far is kept, and the message says where."""


class WriteError(DrawwellError):
    """A file could not be written; the message names the file and its size. The earlier content of the file is unchanged."""

    def __init__(self, path: Path, size: int, cause: OSError, hint: str = "") -> None:
        super().__init__(f"{path}: {size:,} bytes could not be written ({cause.strerror}){hint}")


class RequestError(DrawwellError, ValueError):
    """The call itself is wrong: a seed, an index, a count or a label is out of range, or the server refused it."""


class ServerError(DrawwellError):
    """The server cannot be used.

    Attributes:
        is_temporary: Whether the same call may work later.
    """

    is_temporary = False


class UnreachableError(ServerError):
    """There is no connection to the server, the connection broke, or the reply took too long."""

    is_temporary = True


class UnavailableError(ServerError):
    """The server says that it cannot answer now: status 429, 502, 503 or 504.

    Attributes:
        retry_after: Seconds that the server asks to wait; None if it does not say.
    """

    is_temporary = True
    retry_after: float | None = None


class ResponseError(ServerError):
    """The reply is not the one that was requested: its shape, count, digest or checksum is wrong.

    Attributes:
        digest: SHA-256 of the generator that the server has now, if it is another one than the client opened; else None.
    """

    digest: str | None = None


def _unpickled(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error
