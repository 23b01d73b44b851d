"""The body of a request: JSON, of bounded length, within bounded time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from .errors import ApiError
from .well import Well

MAX_BODY_BYTES = 2 * 2**20
"""65,536 indices of 19 digits fit; nothing longer makes sense."""
MAX_ALL_BODIES_BYTES = 32 * MAX_BODY_BYTES
"""Of all that a worker reads at once."""


async def read_json(request: Request, well: Well) -> bytes:
    """The body, counted while it comes, since a ``Content-Length`` may lie or be absent. Raises ``ApiError`` 400, 408, 413, 415 or 503."""
    _check_content_type(request)
    body = bytearray()
    try:
        async with asyncio.timeout(well.settings.read_seconds):
            async for chunk in request.stream():
                body += chunk
                well.body_bytes += len(chunk)
                _check_length(len(body), well)
    except TimeoutError:
        late = f"the body did not come within {well.settings.read_seconds:g} seconds"
        raise ApiError(408, "body_too_slow", late, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise ApiError(400, "body_cut_off", "the connection ended before the body did") from None
    finally:
        well.body_bytes -= len(body)
    return bytes(body)


def _check_length(length: int, well: Well) -> None:
    if length > MAX_BODY_BYTES:
        raise ApiError(413, "body_too_large", f"the body is larger than {MAX_BODY_BYTES:,} bytes")
    if well.body_bytes > MAX_ALL_BODIES_BYTES:
        message = "too many large bodies are being read: come back"
        raise ApiError(503, "too_many_bodies", message, headers=well.retry_after())


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
