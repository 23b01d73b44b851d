"""Choosing the form of a reply by ``Accept`` (RFC 9110, section 12.5.1)."""

import functools
import math
from collections.abc import Mapping

from drawwell_serve.errors import ApiError


@functools.lru_cache(128)
def choose(accept: str | None, offered: tuple[str, ...]) -> str:
    """The offered media type that the client likes best, the first of equals. Raises ``ApiError`` 406 where it likes none.

    A parameter counts if an offered type has it, and is ignored otherwise.
    """
    parts = [part for part in (accept or "*/*").split(",") if part.strip()]
    ranges = dict(reversed([_parse(part, offered) for part in parts])) or {"*/*": 1.0}
    quality = {offer: _quality(offer, ranges) for offer in offered}
    best = max(offered, key=lambda offer: quality[offer])
    if not quality[best]:
        raise ApiError(
            406, "not_acceptable", f"images come as {', '.join(offered)}, and the request accepts none of these"
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
    raise ApiError(400, "malformed_header", f"Accept: {value[:20]!r} is no quality value")


def _quality(offer: str, ranges: Mapping[str, float]) -> float:
    """The quality of the most specific range that fits."""
    fitting = (offer, offer.partition(";")[0], f"{offer.partition('/')[0]}/*", "*/*")
    return next((ranges[media] for media in fitting if media in ranges), 0.0)
