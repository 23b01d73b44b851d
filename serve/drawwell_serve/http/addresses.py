"""Addresses as URLs: one image, or a shard of them. What a URL names never changes, so whoever has it need not ask again."""

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from drawwell.addresses.arguments import INDEX_LIMIT
from drawwell.formats.archives import Tar
from drawwell_serve.drawing.image_request import Addressed
from drawwell_serve.drawing.image_service import Well
from drawwell_serve.errors import ApiError
from drawwell_serve.http.ranges import asked
from drawwell_serve.http.replies import FORMS, ImagesReply

_PARTS = {"digest": "[^/]{1,64}"}
_NUMBER = "0|[1-9][0-9]{0,18}"
"""In one spelling only, so that an image has one URL."""
_YEAR_SECONDS = 365 * 24 * 3600

HOW = (
    "an image is /images/DIGEST/SEED/INDEX.png, a shard /shards/DIGEST/SEED/FIRST-LAST.tar: "
    "the digest as in /model, integers from 0 to 2^63 - 1 in plain digits"
)
"""The error for another path under these two."""


def routes() -> list[Route]:
    """The routes of this module. Starlette's patterns take any text, and need quadratic time on a long path of dashes."""
    several = [
        Route("/images/{digest}/{seed}/{index}.png", image),
        Route("/shards/{digest}/{seed}/{first}-{last}.tar", shard),
    ]
    for route in several:
        part = re.sub(
            r"\\{(\w+)\\}", lambda name: f"(?P<{name[1]}>{_PARTS.get(name[1], _NUMBER)})", re.escape(route.path)
        )
        route.path_regex = re.compile(part + r"\Z")
    return several


async def image(request: Request) -> Response:
    """``GET /images/{digest}/{seed}/{index}.png``."""
    path = request.path_params
    index = _number("index", path["index"])
    return _immutable(request, Addressed(_number("seed", path["seed"]), range(index, index + 1)), "image/png")


async def shard(request: Request) -> Response:
    """``GET /shards/{digest}/{seed}/{first}-{last}.tar``: a WebDataset shard of the images ``first`` to ``last``."""
    path, most = request.path_params, request.app.state.well.settings.max_count
    first, last = _number("first index", path["first"]), _number("last index", path["last"])
    if last < first:
        raise no_such(f"a shard is FIRST-LAST, and {last} comes before {first}")
    if last - first >= most:
        raise no_such(f"a shard holds at most {most:,} images, not {last - first + 1:,}")
    return _immutable(request, Addressed(_number("seed", path["seed"]), range(first, last + 1)), Tar.media_type)


def _immutable(request: Request, drawing: Addressed, media_type: str) -> Response:
    well: Well = request.app.state.well
    if request.path_params["digest"] != well.engine.digest:
        raise no_such(f"this server draws from the generator {well.engine.digest} alone")
    scope = "private" if well.has_key else "public"
    etag = _etag(well, drawing, media_type)
    headers = {
        "ETag": etag,
        "Cache-Control": f"{scope}, max-age={_YEAR_SECONDS}, immutable",
        "Accept-Ranges": "bytes",
    }
    if _is_known(request, etag):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":  # without a Content-Length, which only drawing would tell
        reply = Response(media_type=media_type, headers=well.headers(drawing) | headers)
        del reply.headers["content-length"]
        return reply
    return ImagesReply(well, drawing, FORMS[media_type], headers, asked(request, etag))


def _etag(well: Well, drawing: Addressed, media_type: str) -> str:
    """Strong: of everything that the bytes depend on."""
    address = f"{drawing.seed}/{drawing.indices[0]}-{drawing.indices[-1]}"
    parts = "\n".join((well.engine.digest, address, media_type, well.fingerprint))
    return f'"{hashlib.sha256(parts.encode()).hexdigest()[:32]}"'


def _is_known(request: Request, etag: str) -> bool:
    """Whether ``If-None-Match`` names it (RFC 9110, section 13.1.2: compared weakly)."""
    known = [tag.strip().removeprefix("W/") for tag in ",".join(request.headers.getlist("if-none-match")).split(",")]
    return etag in known or "*" in known


def _number(name: str, text: str) -> int:
    if int(text) >= INDEX_LIMIT:
        raise no_such(f"the {name} in the path must be an integer from 0 to 2^63 - 1")
    return int(text)


def no_such(message: str) -> ApiError:
    return ApiError(404, "no_such_address", message)
