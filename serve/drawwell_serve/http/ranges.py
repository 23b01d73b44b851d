"""Byte ranges (RFC 9110, section 14), with which ``curl -C -`` continues a download."""

import re
from dataclasses import dataclass

from starlette.requests import Request

from drawwell_serve.errors import ApiError

_SINGLE_RANGE = re.compile(r"bytes=(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))")


@dataclass(frozen=True)
class ByteRange:
    """The bytes ``first`` to ``last``, both included, up to the end where ``last`` is None; or the last ``suffix`` bytes."""

    first: int | None
    last: int | None
    suffix: int | None

    def of(self, length: int) -> range:
        """The positions in a body of ``length`` bytes. Raises ``ApiError`` 416 if the range holds none of them."""
        if self.first is None:
            assert self.suffix is not None
            positions = range(max(0, length - self.suffix), length)
        else:
            positions = range(self.first, length if self.last is None else min(self.last + 1, length))
        if not positions:
            message = f"the reply has {length:,} bytes, and the range holds none of them"
            raise ApiError(416, "range_not_satisfiable", message, headers={"Content-Range": f"bytes */{length}"})
        return positions


def requested_range(request: Request, etag: str) -> ByteRange | None:
    """The range that a ``GET`` asks for. None means the whole, and so do several ranges and malformed ones."""
    if request.method != "GET" or request.headers.get("if-range", etag) != etag:
        return None
    match = _SINGLE_RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None:
        return None
    first, last, suffix = (int(number) if number else None for number in match.groups())
    return None if last is not None and first is not None and last < first else ByteRange(first, last, suffix)


def headers(positions: range, length: int) -> dict[str, str]:
    """The ``Content-Range`` of a part of ``length`` bytes."""
    return {"content-range": f"bytes {positions.start}-{positions.stop - 1}/{length}"}
