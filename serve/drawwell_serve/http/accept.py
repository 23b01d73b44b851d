"""The choice of a format by ``Accept`` (RFC 9110, section 12.5.1)."""

import functools
import math
from collections.abc import Mapping

from starlette.requests import Request

from drawwell_serve.errors import ApiError

MAX_ACCEPT = 4096
"""Characters of the ``Accept`` header. A browser sends some 150."""


def accepted(request: Request, offered: tuple[str, ...]) -> str:
    """Return the offered media type that the request prefers. Raises ``ApiError`` as ``choose``, and 400 for a long ``Accept``."""
    accept = ", ".join(request.headers.getlist("accept"))
    if len(accept) > MAX_ACCEPT:
        raise ApiError(400, "malformed_header", f"Accept is longer than {MAX_ACCEPT:,} characters")
    return choose(accept, offered)


@functools.lru_cache(128)
def choose(accept: str | None, offered: tuple[str, ...]) -> str:
    """Return the offered media type that the client prefers, the first of equals.

    Args:
        accept: The value of the header. A parameter counts if an offered type has it, and is ignored otherwise.
        offered: Media types.

    Raises:
        ApiError: 406 if the client accepts none of them, 400 if a quality value is malformed.
    """
    parts = [part for part in (accept or "*/*").split(",") if part.strip()]
    ranges = dict(reversed([_parse(part, offered) for part in parts])) or {"*/*": 1.0}
    quality = {offer: _quality(offer, ranges) for offer in offered}
    best = max(offered, key=lambda offer: quality[offer])
    if not quality[best]:
        raise ApiError(
            406,
            "not_acceptable",
            f"the request accepts none of the formats: send Accept with one of {', '.join(offered)}",
        )
    return best


def _parse(part: str, offered: tuple[str, ...]) -> tuple[str, float]:
    media, *rest = (piece.strip().lower() for piece in part.split(";"))
    parameters = {name.strip(): value.strip().strip('"') for name, _, value in (one.partition("=") for one in rest)}
    quality = _number(parameters.pop("q")) if "q" in parameters else 1.0
    exact = ";".join((media, *(f"{name}={value}" for name, value in parameters.items())))
    return exact if exact in offered else media, quality


def _number(value: str) -> float:
    try:
        if not math.isnan(quality := float(value)):
            return min(max(quality, 0.0), 1.0)
    except ValueError:
        pass
    raise ApiError(
        400, "malformed_header", f"Accept: {value[:20]!r} is not a quality value: write a number from 0 to 1"
    )


def _quality(offer: str, ranges: Mapping[str, float]) -> float:
    """The quality of the most specific range that fits."""
    fitting = (offer, offer.partition(";")[0], f"{offer.partition('/')[0]}/*", "*/*")
    return next((ranges[media] for media in fitting if media in ranges), 0.0)
