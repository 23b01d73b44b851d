"""The OpenAPI document. Its schemas are made from the types that read requests and write the card."""

import functools
from typing import Any

import msgspec

from drawwell import __version__
from drawwell.files.card import ModelCard
from drawwell.formats.archives import Tar
from drawwell.http import protocol as wire
from drawwell_serve.http.formats import FORMATS
from drawwell_serve.http.generate_request import GenerateRequest
from drawwell_serve.http.page_files import MEDIA_TYPES
from drawwell_serve.http.picture_body import MEDIA_TYPES as PICTURE_BODY_TYPES
from drawwell_serve.http.picture_body import MULTIPART
from drawwell_serve.processes.shared_metrics import CONTENT_TYPE

_MEANINGS = {
    400: "The body is empty or not valid JSON, or the format cannot hold the images.",
    401: "The key is missing or wrong.",
    404: "The URL names no image or file: the digest is of another generator, or the address is not valid. Or the server has no judge.",
    406: "The request accepts none of the formats.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    414: "Path and query are too long.",
    415: "The body has another media type, or is encoded.",
    416: "The reply has no byte of the range. Content-Range says how many bytes it has.",
    421: "The server does not answer to the name in Host.",
    422: "A field is unknown, of a wrong type, or out of range. Or a picture cannot be decoded.",
    429: "Too many requests or images wait. Retry-After says when to send the request again.",
    503: "No reply can begin in time, the networks fail, or the device has no memory. Retry-After says when to send the request again.",
}
_DRAWING_ERRORS, _BODY_ERRORS = (429, 503), (400, 406, 408, 413, 415, 422)
_HEADERS = {
    wire.DIGEST: "SHA-256 of the generator file.",
    wire.SEED: "The seed. Absent if the images have no address.",
    wire.START: "The first index. Absent if the request named indices, per_class or latents.",
    wire.INDICES: "The SHA-256 of the indices as little-endian int64, if the request named indices or per_class.",
    wire.LATENTS: "The SHA-256 of the latents as little-endian float32, before truncation, if the images have no address.",
    wire.MEMBER: "The number of the generator of a mixture that drew the images, if they have no address.",
    wire.TRUNCATION: "The factor of the latents, if the request named a truncation that is not 1.",
    wire.SPREAD: "The factor of the latents, if the request named a spread that is not 1.",
    wire.LABELS: "The label of all images, or the SHA-256 of the labels as little-endian int64, if the request named labels.",
    wire.COUNT: "The number of images.",
    wire.PROVIDER: "The execution provider: cuda or cpu.",
    wire.FINGERPRINT: "The software and hardware that the bytes may depend on, besides digest and address.",
}
_IMMUTABLE = {
    "ETag": "A strong ETag: a hash of everything that the bytes depend on.",
    "Cache-Control": "The content of a URL never changes.",
    "Accept-Ranges": "bytes",
}
_CONTENT_DIGEST = {"Content-Digest": "The SHA-256 of the body (RFC 9530), if the reply is not streamed."}
_RETRY = {
    "Retry-After": {
        "description": "Seconds until the request can succeed.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_PROBES = {
    "/livez": "The process answers.",
    "/healthz": "The same as /livez.",
    "/readyz": "The worker draws images, and its pixels are right.",
}


@functools.cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1 of every route."""
    (request, card), components = msgspec.json.schema_components(
        [GenerateRequest, ModelCard], ref_template="#/components/schemas/{name}"
    )
    words = {
        "type": "object",
        "description": "The card in words: names of facts and the facts.",
        "additionalProperties": {"type": "string"},
    }
    about = {"digest": {"type": "string"}, "card": card, "in_words": words, "max_count": {"type": "integer"}}
    judge = {
        "type": "object",
        "properties": {"digest": {"type": "string"}, "in_words": words, "error": {"type": "string"}},
    }
    model = {"type": "object", "required": list(about), "properties": about | {"judge": judge}}
    keyed = {
        "/generate": {"post": _generate(request)},
        "/judge": {"post": _judge()},
        "/images/{digest}/{seed}/{index}.png": _address(
            "One image. The content of this URL never changes.", "image/png", "index"
        ),
        "/shards/{digest}/{seed}/{first}-{last}.tar": _address(
            "A WebDataset shard of the images first to last. The content of this URL never changes.",
            Tar.media_type,
            "first",
            "last",
        ),
        "/latents/{digest}/{seed}/{index}.json": _latents(),
        "/model": _get("The digest, the card, and the most images of one reply.", "application/json", model),
        "/": _get("A page for people about the generator.", "text/html", {"type": "string"}),
        "/page/{version}/{file}": _page_file(),
        "/docs.json": _get("This OpenAPI document.", "application/json", {"type": "object"}),
        "/metrics": _get("Metrics for Prometheus.", CONTENT_TYPE, {"type": "string"}),
    }
    for methods in keyed.values():
        for operation in methods.values():
            operation["responses"] |= _errors(401, 414, 421)
    probes = {path: _get(meaning, "text/plain", {"type": "string"}) for path, meaning in _PROBES.items()}
    for operation in probes["/readyz"].values():
        operation["responses"] |= _errors(503)
    info = {
        "title": "drawwell",
        "version": __version__,
        "description": "Draws images by address. The same address always gives the same bytes.",
    }
    return {
        "openapi": "3.1.0",
        "info": info,
        "paths": keyed | probes,
        "components": {
            "schemas": components | {"Error": _error_schema()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _generate(request: dict[str, Any]) -> dict[str, Any]:
    images = {
        "description": "The images, in the format that Accept asks for.",
        "headers": _headers(_HEADERS | _CONTENT_DIGEST),
        "content": {media_type: {"schema": _image_schema(media_type)} for media_type in FORMATS},
    }
    body = {"required": True, "content": {"application/json": {"schema": request, "example": {"seed": 7, "count": 16}}}}
    responses = {"200": images, **_errors(*_BODY_ERRORS, *_DRAWING_ERRORS)}
    return {"summary": "Draw images by address.", "requestBody": body, "responses": responses}


def _judge() -> dict[str, Any]:
    number, text = {"type": "number"}, {"type": "string"}
    judgement = {
        "name": {**text, "description": "The name of the file, in a multipart body."},
        "logit": {**number, "description": "The output of the discriminator: the higher, the more real."},
        "p_real": {
            "type": ["number", "null"],
            "description": "Its probability of a real picture; null if its loss gives none.",
        },
        "percentile_real": {**number, "description": "The percentage of held-out real pictures with a lower logit."},
        "percentile_drawn": {**number, "description": "The percentage of drawn pictures with a lower logit."},
        "label": {"type": "integer", "description": "With classes: the most likely class, or the one of the query."},
        "class": {**text, "description": "The name of this class."},
        "in_words": {"type": "object", "additionalProperties": text},
    }
    picture = {"type": "object", "required": ["logit", "p_real", "percentile_real", "percentile_drawn"]}
    properties = {
        "digest": {**text, "description": "SHA-256 of the discriminator file."},
        "generator": {**text, "description": "SHA-256 of the generator file whose images it was measured on."},
        "count": {"type": "integer"},
        "pictures": {"type": "array", "items": {**picture, "properties": judgement}},
        "about": {
            "type": "object",
            "description": "How many pictures it was measured on, and how well it tells them apart.",
        },
    }
    reply = {"type": "object", "required": list(properties), "properties": properties}
    file = {"type": "string", "format": "binary"}
    several = {"type": "object", "required": ["picture"], "properties": {"picture": {"type": "array", "items": file}}}
    content = {kind: {"schema": several if kind == MULTIPART else file} for kind in PICTURE_BODY_TYPES}
    label = {"description": "The class to judge the pictures as, by its name or its index.", "schema": text}
    found = {
        "description": "What the discriminator says of each picture.",
        "content": {"application/json": {"schema": reply}},
    }
    return {
        "summary": "Judge how authentic pictures are. They are resized and cropped as in training.",
        "parameters": [{"name": "label", "in": "query", **label}],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": found, **_errors(404, *_BODY_ERRORS, *_DRAWING_ERRORS)},
    }


def _address(meaning: str, media_type: str, *numbers: str) -> dict[str, Any]:
    """GET and HEAD of an address."""
    parameters = _of_path(*numbers)
    known, part, still = (
        {"name": name, "in": "header", "schema": {"type": "string"}} for name in ("If-None-Match", "Range", "If-Range")
    )
    headers = _headers(_HEADERS | _IMMUTABLE | _CONTENT_DIGEST)
    found = {"description": meaning, "headers": headers}
    responses = {
        "304": {"description": "The client already has the image or shard: If-None-Match names its ETag."},
        **_errors(404, *_DRAWING_ERRORS),
    }
    bytes_of = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    drawn = {**found, "content": bytes_of}
    which = _headers({"Content-Range": "The bytes of this part, and the number of all bytes."})
    in_part = {"description": "The bytes of the range.", "headers": headers | which, "content": bytes_of}
    common = {"summary": meaning, "parameters": [*parameters, known]}
    get = {**common, "parameters": [*common["parameters"], part, still]}
    return {
        "get": {**get, "responses": {"200": drawn, "206": in_part, **responses, **_errors(416)}},
        "head": {**common, "responses": {"200": found, **responses}},
    }


def _of_path(*numbers: str) -> list[dict[str, Any]]:
    """The parameters of a path: the digest, the seed and these numbers."""
    number = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    schemas = {"digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"}, "seed": number} | dict.fromkeys(
        numbers, number
    )
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in schemas.items()]


def _latents() -> dict[str, Any]:
    row = {"type": "array", "items": {"type": "number"}}
    number = {"type": ["integer", "null"]}
    properties = {
        "latents": {**row, "description": "z, as POST /generate takes it."},
        "label": {**number, "description": "The class of the address, if the generator has classes."},
        "member": {**number, "description": "The generator of a mixture that draws the address."},
        "directions": {
            "type": "array",
            "items": row,
            "description": "Up to 8 directions of the latents that change the image most, each of length 1.",
        },
    }
    schema = {"type": "object", "required": list(properties), "properties": properties}
    methods = _get("The latents of an image, and the directions that change it most.", "application/json", schema)
    for operation in methods.values():
        operation["parameters"] = _of_path("index")
        operation["responses"] |= _errors(404)
    return methods


def _get(meaning: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """GET, and HEAD without the body."""
    found = {"description": meaning}
    return {
        "get": {"summary": meaning, "responses": {"200": {**found, "content": {media_type: {"schema": schema}}}}},
        "head": {"summary": meaning, "responses": {"200": found}},
    }


def _page_file() -> dict[str, Any]:
    """A file of the page. It needs no key."""
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in ("version", "file")
    ]
    content = {media_type: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES.values()}
    methods: dict[str, Any] = {}
    for method, found in (("get", {"content": content}), ("head", {})):
        reply = {"description": "A module, the stylesheet or the icon. Its content never changes.", **found}
        responses = {"200": reply, **_errors(404)}
        methods[method] = {
            "summary": "A file of the page.",
            "parameters": parameters,
            "security": [],
            "responses": responses,
        }
    return methods


def _headers(meanings: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in meanings.items()}


def _errors(*statuses: int) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        str(status): {"description": _MEANINGS[status], "content": error}
        | ({"headers": _RETRY} if status in _DRAWING_ERRORS else {})
        for status in statuses
    }


def _image_schema(media_type: str) -> dict[str, Any]:
    if media_type != "application/json":
        return {"type": "string", "format": "binary"}
    image = {
        "type": "object",
        "required": ["index", "png"],
        "properties": {
            "index": {"type": "integer"},
            "label": {"type": "integer", "description": "The class, if the generator has classes."},
            "png": {"type": "string", "contentEncoding": "base64"},
        },
    }
    properties = {
        "digest": {"type": "string"},
        "seed": {"type": "integer"},
        "count": {"type": "integer"},
        "images": {"type": "array", "items": image},
    }
    return {"type": "object", "required": ["digest", "count", "images"], "properties": properties}


def _error_schema() -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in ("code", "message", "field")}
    error = {"type": "object", "required": ["code", "message"], "properties": properties}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}
