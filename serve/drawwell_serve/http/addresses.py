"""Addresses as URLs: one image, a shard of images, or the latents of an image. The content of a URL of images never changes, so a cache
may keep it for ever.
"""

import hashlib
import re

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from drawwell.addresses.arguments import INDEX_LIMIT
from drawwell.formats.archives import Tar
from drawwell.http import protocol as wire
from drawwell.image_request import ImageRequest
from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.errors import ApiError
from drawwell_serve.http.formats import FORMATS
from drawwell_serve.http.ranges import requested_range
from drawwell_serve.http.replies import ImagesReply

_PATH_PARAMETERS = {"digest": "[^/]{1,64}"}
_NUMBER_PATTERN = "0|[1-9][0-9]{0,18}"
"""Without leading zeros, so that an image has one URL."""
_YEAR_SECONDS = 365 * 24 * 3600

PATHS = (
    "the path of an image is /images/DIGEST/SEED/INDEX.png, of a shard /shards/DIGEST/SEED/FIRST-LAST.tar, "
    "and of latents /latents/DIGEST/SEED/INDEX.json: take the digest from /model, and write integers from 0 to 2^63 - 1 in plain digits"
)
"""The error message for any other path below /images/, /shards/ and /latents/."""


def routes() -> list[Route]:
    """The routes of this module, with patterns of their own: Starlette's take any text, and quadratic time on a long path of dashes."""
    several = [
        Route("/images/{digest}/{seed}/{index}.png", image),
        Route("/shards/{digest}/{seed}/{first}-{last}.tar", shard),
        Route("/latents/{digest}/{seed}/{index}.json", latents),
    ]
    for route in several:
        part = re.sub(
            r"\\{(\w+)\\}",
            lambda name: f"(?P<{name[1]}>{_PATH_PARAMETERS.get(name[1], _NUMBER_PATTERN)})",
            re.escape(route.path),
        )
        route.path_regex = re.compile(part + r"\Z")
    return several


async def image(request: Request) -> Response:
    """``GET /images/{digest}/{seed}/{index}.png``."""
    return _immutable(request, _one(request), "image/png")


async def shard(request: Request) -> Response:
    """``GET /shards/{digest}/{seed}/{first}-{last}.tar``: a WebDataset shard of the images ``first`` to ``last``."""
    path, most = request.path_params, request.app.state.service.settings.max_count
    first, last = _number("first index", path["first"]), _number("last index", path["last"])
    if last < first:
        raise no_such(f"a shard is FIRST-LAST, and {last} is less than {first}")
    if last - first >= most:
        raise no_such(f"a shard holds at most {most:,} images, and this one would hold {last - first + 1:,}")
    return _immutable(request, ImageRequest(_number("seed", path["seed"]), range(first, last + 1)), Tar.media_type)


async def latents(request: Request) -> Response:
    """``GET /latents/{digest}/{seed}/{index}.json``: the inputs of the generator at an address, and the directions of its stem."""
    service = _service(request)
    z, label, member = (_one(request).feeds(service.engine.card).get(name) for name in ("z", "label", "member"))
    assert z is not None, "every generator takes latents"
    about = {
        "latents": z[0].tolist(),
        "label": None if label is None else int(label[0]),
        "member": None if member is None else int(member[0]),
        "directions": np.round(service.directions[0 if member is None else member[0]].astype(float), 6).tolist(),
    }
    return Response(msgspec.json.encode(about), media_type="application/json")


def _one(request: Request) -> ImageRequest:
    """The image that the path names."""
    path = request.path_params
    index = _number("index", path["index"])
    return ImageRequest(_number("seed", path["seed"]), range(index, index + 1))


def _service(request: Request) -> ImageService:
    """The service. Raises ``ApiError`` 404 if the path names another generator."""
    service: ImageService = request.app.state.service
    if request.path_params["digest"] != service.engine.digest:
        raise no_such(f"this server draws from the generator {service.engine.digest}, not from another: see /model")
    return service


def _immutable(request: Request, images: ImageRequest, media_type: str) -> Response:
    service = _service(request)
    scope = "private" if service.has_key else "public"
    etag = _etag(service, images, media_type)
    headers = {
        "ETag": etag,
        "Cache-Control": f"{scope}, max-age={_YEAR_SECONDS}, immutable",
        "Accept-Ranges": "bytes",
    }
    if _is_known(request, etag):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":  # without a Content-Length: only drawing would tell it
        reply = Response(media_type=media_type, headers=wire.about(images) | service.headers | headers)
        del reply.headers["content-length"]
        return reply
    return ImagesReply(service, images, FORMATS[media_type], headers, requested_range(request, etag))


def _etag(service: ImageService, images: ImageRequest, media_type: str) -> str:
    """A strong ETag: a hash of everything that the bytes depend on."""
    address = f"{images.seed}/{images.indices[0]}-{images.indices[-1]}"
    parts = "\n".join((service.engine.digest, address, media_type, service.fingerprint))
    return f'"{hashlib.sha256(parts.encode()).hexdigest()[:32]}"'


def _is_known(request: Request, etag: str) -> bool:
    """Whether ``If-None-Match`` names the ETag (RFC 9110, section 13.1.2, weak comparison)."""
    known = [tag.strip().removeprefix("W/") for tag in ",".join(request.headers.getlist("if-none-match")).split(",")]
    return etag in known or "*" in known


def _number(name: str, text: str) -> int:
    if int(text) >= INDEX_LIMIT:
        raise no_such(f"the {name} in the path must be an integer from 0 to 2^63 - 1")
    return int(text)


def no_such(message: str) -> ApiError:
    """The error for a URL that names no image."""
    return ApiError(404, "no_such_address", message)
