"""Choosing the form of a reply by ``Accept`` (RFC 9110, section 12.5.1)."""

import functools
from collections.abc import Sequence

from .errors import ApiError


@functools.lru_cache(128)
def choose(accept: str | None, offered: tuple[str, ...]) -> str:
    """The offered media type that the client likes best, the first of equals. Raises ``ApiError`` 406 where it likes none."""
    ranges = [_parse(part) for part in (accept or "*/*").split(",") if part.strip()] or [("*/*", 1.0)]
    quality = {offer: _quality(offer, ranges) for offer in offered}
    best = max(offered, key=lambda offer: quality[offer])
    if not quality[best]:
        raise ApiError(
            406, "not_acceptable", f"images come as {', '.join(offered)}, and the request accepts none of these"
        )
    return best


def _parse(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip() for piece in part.split(";"))
    for name, _, value in (parameter.partition("=") for parameter in parameters):
        if name.strip().lower() == "q":
            try:
                return media.lower(), min(max(float(value), 0.0), 1.0)
            except ValueError:
                raise ApiError(400, "malformed_header", f"Accept: {value!r} is no quality value") from None
    return media.lower(), 1.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that fits."""
    for wanted in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        for media, quality in ranges:
            if media == wanted:
                return quality
    return 0.0
