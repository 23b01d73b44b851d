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
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]
"""Headers of every reply, errors included."""

logger = logging.getLogger("drawwell.serve")

_CHARACTERS_SHOWN = 200
"""Characters of a method or a path that an error message repeats."""
_ERROR_CODES = {404: "not_found", 405: "method_not_allowed"}


class ApiError(DrawwellError):
    """A request that is answered with an error status.

    Args:
        status: The HTTP status.
        code: The code of the error, for programs.
        message: A sentence for people: what is wrong, and what to do.
        field: The field of the request that is wrong.
        headers: Further headers of the reply.
    """

    def __init__(
        self, status: int, code: str, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field, self.headers = status, code, message, field, headers


def reply(
    status: int, code: str, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The reply to a refused request. It counts the refusal."""
    refused(code)
    error = {"code": code, "message": message} | ({"field": field} if field else {})
    return JSONResponse({"error": error}, status, headers)


def error_reply(error: ApiError) -> Response:
    """The reply for an ``ApiError``."""
    return reply(error.status, error.code, error.message, error.field, error.headers)


def on_api_error(_: Request, error: Exception) -> Response:
    """Answer an ``ApiError``."""
    assert isinstance(error, ApiError)
    return error_reply(error)


def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer an error of Starlette's, for example a wrong method, with its headers (``Allow``)."""
    assert isinstance(error, HTTPException)
    asked = f"{request.method[:_CHARACTERS_SHOWN]} {request.scope['path'][:_CHARACTERS_SHOWN]}"
    instead = f", use {allowed}" if (allowed := (error.headers or {}).get("Allow")) else ""
    message = f"{asked}: {error.detail.lower()}{instead}; GET /docs.json lists the routes"
    return reply(error.status_code, _ERROR_CODES.get(error.status_code, "error"), message, headers=error.headers)


def on_full_memory(request: Request, error: Exception) -> Response:
    """Answer a request for which the device had no memory. The same request may succeed later."""
    logger.warning("%s %s: %s", request.method, request.url.path, error)
    message = "the device has no free memory now: send the request again later"
    return reply(503, "out_of_memory", message, headers={"Retry-After": str(RETRY_SECONDS)})


def on_failure(request: Request, error: Exception) -> Response:
    """Answer after a fault of the server. The log gets the traceback, and the client none of it."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return reply(500, "internal", "the server failed to answer this request; its log says why")
