"""The body of a request, of bounded length, within bounded time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from drawwell_serve.drawing.body_memory import Body
from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.errors import ApiError

MAX_BODY_BYTES = 2 * 2**20
"""65,536 indices of 19 digits fit. No valid request is longer."""

_CLOSE_HEADERS = {"Connection": "close"}


async def read_json(request: Request, service: ImageService) -> bytes:
    """Read a body of JSON. Raises ``ApiError`` as ``read`` does, and 415 for a body of another type."""
    if (kind := media_type_of(request)) != "application/json":
        instead = f", not {kind}" if kind else "; this request has no Content-Type"
        raise ApiError(415, "unsupported_media_type", f"send JSON with Content-Type: application/json{instead}")
    return await read(request, service, MAX_BODY_BYTES)


async def read(request: Request, service: ImageService, most_bytes: int) -> bytes:
    """Read the body. Its bytes are counted while they come, since a ``Content-Length`` may be wrong or missing.

    Raises:
        ApiError: 400 (cut off), 408 (too slow), 413 (too large), 415 (encoded) or 503 (too many large bodies at once).
    """
    _check_encoding(request)
    body, content = Body(), bytearray()
    try:
        async with asyncio.timeout(service.settings.read_seconds) as body.timeout:
            async for chunk in request.stream():
                if not body.gave_way:
                    service.bodies.add(body, len(chunk))
                if body.gave_way:
                    raise TimeoutError
                content += chunk
                if len(content) > most_bytes:
                    raise ApiError(413, "body_too_large", f"the body is larger than {most_bytes:,} bytes")
    except TimeoutError:
        raise _too_slow(body, service) from None
    except ClientDisconnect:
        raise ApiError(400, "body_cut_off", "the connection ended before the body did") from None
    finally:
        service.bodies.discard(body)
    return bytes(content)


def _too_slow(body: Body, service: ImageService) -> ApiError:
    if body.gave_way:
        message = (
            "the server is reading too many large bodies, and this one is the slowest: send the request again later"
        )
        return ApiError(503, "too_many_bodies", message, headers=service.retry_after() | _CLOSE_HEADERS)
    late = f"the body did not arrive within {service.settings.read_seconds:g} seconds: send it faster"
    return ApiError(408, "body_too_slow", late, headers=_CLOSE_HEADERS)


def media_type_of(request: Request) -> str:
    """The media type of the body in small letters, without parameters; empty if the request names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_encoding(request: Request) -> None:
    if encoding := request.headers.get("content-encoding"):
        raise ApiError(
            415,
            "unsupported_media_type",
            f"send the body uncompressed: the server reads no Content-Encoding ({encoding})",
        )
