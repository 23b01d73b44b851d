"""What a client may ask, read strictly: unknown fields, wrong types and numbers as strings are refused."""

import asyncio
import re
from typing import Annotated

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import ClientDisconnect, Request

from drawwell.batch import address
from drawwell.errors import RequestError
from drawwell.latents import CheckedIndices, random_seed

from .errors import ApiError

MAX_BODY_BYTES = 2 * 2**20
"""65,536 indices of 19 digits fit; nothing longer makes sense."""
MAX_INDICES = 65_536
BODY_SECONDS = 10

_Integer63 = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class GenerateRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which images to draw: ``count`` of them from index ``start`` on, or those of ``indices``."""

    seed: Annotated[_Integer63, Meta(description="Left out, the server draws one and says which.")] | UnsetType = UNSET
    count: Annotated[int, Meta(ge=1, description="How many images; 1 by default.")] | UnsetType = UNSET
    start: Annotated[_Integer63, Meta(description="The first index; 0 by default.")] | UnsetType = UNSET
    indices: (
        Annotated[
            list[_Integer63],
            Meta(
                min_length=1, max_length=MAX_INDICES, description="The indices themselves, instead of start and count."
            ),
        ]
        | UnsetType
    ) = UNSET


class Drawing(msgspec.Struct, frozen=True):
    """A request with nothing left open."""

    seed: int
    indices: CheckedIndices


async def read_drawing(request: Request, max_count: int) -> Drawing:
    """Read the body as a ``GenerateRequest``. Raises ``ApiError`` 400, 413, 415 or 422."""
    _check_content_type(request)
    asked = _decode(await _read_body(request))
    if asked.indices is not UNSET and (asked.count is not UNSET or asked.start is not UNSET):
        raise ApiError(422, "invalid_field", "give start and count, or indices, not both", "indices")
    count = _count(asked)
    if count > max_count:
        raise ApiError(
            422,
            "invalid_field",
            f"{count:,} images were asked for, at most {max_count:,} come in one reply: ask for the rest in another",
            "count" if asked.indices is UNSET else "indices",
        )
    seed = random_seed() if asked.seed is UNSET else asked.seed
    try:
        if asked.indices is UNSET:
            return Drawing(*address(seed, count, 0 if asked.start is UNSET else asked.start, None))
        return Drawing(*address(seed, None, 0, np.array(asked.indices)))
    except RequestError as error:  # what is left is a range that runs past the last index
        raise ApiError(422, "invalid_field", str(error), "start") from None


def _count(asked: GenerateRequest) -> int:
    if asked.indices is not UNSET:
        return len(asked.indices)
    return 1 if asked.count is UNSET else asked.count


def _check_content_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(
            415,
            "unsupported_media_type",
            f"send JSON with Content-Type: application/json, not {kind or 'without a Content-Type'}",
        )
    if encoding := request.headers.get("content-encoding"):
        raise ApiError(415, "unsupported_media_type", f"send the body as it is, without Content-Encoding: {encoding}")


async def _read_body(request: Request) -> bytes:
    """The body, counted while it comes, since a ``Content-Length`` may lie or be absent."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise ApiError(413, "body_too_large", f"the body is larger than {MAX_BODY_BYTES:,} bytes")
    except TimeoutError:
        raise ApiError(408, "body_too_slow", f"the body did not come within {BODY_SECONDS} seconds") from None
    except ClientDisconnect:
        raise ApiError(400, "body_cut_off", "the connection ended before the body did") from None
    return bytes(body)


def _decode(body: bytes) -> GenerateRequest:
    if not body.strip():
        raise ApiError(400, "empty_body", 'the body is empty; send a JSON object, for example {"seed": 7, "count": 16}')
    try:
        return msgspec.json.decode(body, type=GenerateRequest)
    except msgspec.ValidationError as error:
        raise ApiError(422, "invalid_field", *_explain(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "malformed_json", f"the body is no JSON: {error}") from None


def _explain(message: str) -> tuple[str, str | None]:
    """msgspec's sentence without its path notation, and the field it speaks of."""
    sentence, _, path = message.partition(" - at `$")
    name = re.match(r"\.(\w+)", path) or re.search(r"unknown field `(\w+)`", sentence)
    field = name.group(1) if name else None
    return (f"{field}: {sentence}" if field and "unknown field" not in sentence else sentence), field
