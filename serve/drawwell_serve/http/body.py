"""The body of a request: JSON, of bounded length, within bounded time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from drawwell_serve.drawing.body_memory import Body
from drawwell_serve.drawing.image_service import Well
from drawwell_serve.errors import ApiError

MAX_BODY_BYTES = 2 * 2**20
"""65,536 indices of 19 digits fit; nothing longer makes sense."""

_CLOSE = {"Connection": "close"}


async def read_json(request: Request, well: Well) -> bytes:
    """The body, counted while it comes, since a ``Content-Length`` may lie or be absent. Raises ``ApiError`` 400, 408, 413, 415 or 503."""
    _check_content_type(request)
    body = Body()
    try:
        async with asyncio.timeout(well.settings.read_seconds) as body.timeout:
            await _read(request, body, well)
    except TimeoutError:
        raise _too_slow(body, well) from None
    except ClientDisconnect:
        raise ApiError(400, "body_cut_off", "the connection ended before the body did") from None
    finally:
        well.bodies.discard(body)
    return bytes(body.content)


async def _read(request: Request, body: Body, well: Well) -> None:
    async for chunk in request.stream():
        if not body.gave_way:
            well.bodies.add(body, chunk)
        if body.gave_way:
            raise TimeoutError
        if len(body.content) > MAX_BODY_BYTES:
            raise ApiError(413, "body_too_large", f"the body is larger than {MAX_BODY_BYTES:,} bytes")


def _too_slow(body: Body, well: Well) -> ApiError:
    if body.gave_way:
        message = "too many large bodies are being read, and this one came most slowly: come back"
        return ApiError(503, "too_many_bodies", message, headers=well.retry_after() | _CLOSE)
    late = f"the body did not come within {well.settings.read_seconds:g} seconds"
    return ApiError(408, "body_too_slow", late, headers=_CLOSE)


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
