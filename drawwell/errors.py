"""The exceptions of drawwell.

::

    DrawwellError
    +-- GeneratorFileError      a file that is no whole, valid drawwell generator
    +-- ProviderError           the execution provider asked for cannot be had, or draws wrong pixels
    |   +-- DeviceMemoryError   its memory is full; the same call may do later
    +-- StoppedError            the user stopped it; what was done so far is kept
    +-- RequestError            the call itself is wrong; trying again will not help   (also a ValueError)
    +-- ServerError             the server cannot be used
        +-- UnreachableError    no connection, or it broke, or it took too long
        +-- UnavailableError    the server answered 429, 502, 503 or 504 until the retries were spent
        +-- ResponseError       what came is not what was asked for
"""

from typing import Any


class DrawwellError(Exception):
    """Anything that drawwell raises on purpose; its text is a sentence for a user."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as it is: Python would call the class with the text alone, and a pool whose worker raised waits for ever."""
        return _unpickled, (type(self), self.args, self.__dict__)


class GeneratorFileError(DrawwellError):
    """The file is no whole, valid drawwell generator."""


class ProviderError(DrawwellError):
    """The execution provider that was asked for cannot be had, or does not draw the card's known answers."""


class DeviceMemoryError(ProviderError):
    """The memory of the execution provider is full now; nothing is wrong with the call."""


class StoppedError(DrawwellError):
    """A signal asked to stop; what was done so far is kept, and the message says where."""


class RequestError(DrawwellError, ValueError):
    """The call itself is wrong: a seed, an index or a count out of range, or something that the server refused."""


class ServerError(DrawwellError):
    """The server cannot be used now."""


class UnreachableError(ServerError):
    """No connection, a connection that broke, or an answer that took too long, after all retries."""


class UnavailableError(ServerError):
    """The server said that it cannot answer now (429, 502, 503, 504), after all retries."""


class ResponseError(ServerError):
    """What came is not what was asked for: its shape, dtype, count, digest or checksum is wrong, after all retries."""


def _unpickled(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error
