"""Every error reply: ``{"error": {"code", "message", "field"?}}``."""

import logging
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from drawwell.errors import DrawwellError
from drawwell_serve.metrics import refused

RETRY_SECONDS = 5
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
]
"""Of every reply, errors or not."""

logger = logging.getLogger("drawwell.serve")

_NAMED = 200
"""Characters of a path that an error message repeats."""
_CODES = {404: "not_found", 405: "method_not_allowed"}


class ApiError(DrawwellError):
    """A reply with an error status: each where it is meant."""

    def __init__(
        self, status: int, code: str, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field, self.headers = status, code, message, field, headers


def reply(
    status: int, code: str, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The reply to a refused request, which is counted here."""
    refused(code)
    error = {"code": code, "message": message} | ({"field": field} if field else {})
    return JSONResponse({"error": error}, status, headers)


def error_reply(error: ApiError) -> Response:
    return reply(error.status, error.code, error.message, error.field, error.headers)


def on_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_reply(error)


def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own, a wrong method for one; Starlette's headers (``Allow``) stay."""
    assert isinstance(error, HTTPException)
    asked = f"{request.method[:_NAMED]} {request.scope['path'][:_NAMED]}"
    instead = f", ask with {allowed}" if (allowed := (error.headers or {}).get("Allow")) else ""
    message = f"{asked}: {error.detail.lower()}{instead}; GET /docs.json lists what there is"
    return reply(error.status_code, _CODES.get(error.status_code, "error"), message, headers=error.headers)


def on_full_memory(request: Request, error: Exception) -> Response:
    """The device's memory was full: nothing is wrong with the request, and another may have ended meanwhile."""
    logger.warning("%s %s: %s", request.method, request.url.path, error)
    message = "the device that draws is out of memory now: try again"
    return reply(503, "out_of_memory", message, headers={"Retry-After": str(RETRY_SECONDS)})


def on_failure(request: Request, error: Exception) -> Response:
    """A fault of ours: the whole of it goes to the log, none of it to the client."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return reply(500, "internal", "the server failed at this request; its log says why")
