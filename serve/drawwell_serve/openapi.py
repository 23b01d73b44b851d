"""The OpenAPI document, its schemas generated from the types that read requests and write the card."""

import functools
from typing import Any

import msgspec

import drawwell
from drawwell import wire
from drawwell.card import ModelCard

from .replies import FORMS
from .requests import GenerateRequest

_MEANINGS = {
    400: "The body is empty or no JSON, or asks for more pictures than JSON and PNG hold.",
    406: "The request accepts none of the forms.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not application/json, or is encoded.",
    422: "A field is unknown, of a wrong type, or out of range.",
    503: "Too many others are waiting, or the device is out of memory; Retry-After says when to come back.",
}
_HEADERS = {
    wire.DIGEST: "SHA-256 of the generator file.",
    wire.SEED: "The seed drawn from.",
    wire.START: "The first index; absent where the request named indices.",
    wire.INDICES: "Where the request named indices: the SHA-256 of these as little-endian int64.",
    wire.COUNT: "How many images.",
    wire.PROVIDER: "The execution provider: cuda or cpu.",
    wire.FINGERPRINT: "What the bytes may depend on besides digest and address.",
}
_PROBES = {
    "/livez": "The process is alive.",
    "/readyz": "The generator is loaded and has drawn its known answers.",
    "/healthz": "The same as /livez.",
    "/metrics": "Metrics for Prometheus.",
}


@functools.cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1 of every route."""
    (request, card), components = msgspec.json.schema_components(
        [GenerateRequest, ModelCard], ref_template="#/components/schemas/{name}"
    )
    components["Error"] = _error_schema()
    about = {"digest": {"type": "string"}, "card": card, "max_count": {"type": "integer"}}
    model = {"type": "object", "required": list(about), "properties": about}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "drawwell",
            "version": drawwell.__version__,
            "description": "Draw images by address: the same bytes every time.",
        },
        "paths": {
            "/generate": {"post": _generate(request)},
            "/model": {
                "get": _get("The card, the digest, and how many images one reply holds.", "application/json", model)
            },
            "/": {"get": _get("What is served here, for people.", "text/html", {"type": "string"})},
            "/docs.json": {"get": _get("This document.", "application/json", {"type": "object"})},
            **{path: {"get": _get(meaning, "text/plain", {"type": "string"})} for path, meaning in _PROBES.items()},
        },
        "components": {"schemas": components},
    }


def _generate(request: dict[str, Any]) -> dict[str, Any]:
    images = {
        "description": "The images, in the form that Accept asks for.",
        "headers": {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in _HEADERS.items()},
        "content": {media_type: {"schema": _image_schema(media_type)} for media_type in FORMS},
    }
    errors = {
        str(status): {
            "description": meaning,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
        for status, meaning in _MEANINGS.items()
    }
    body = {"required": True, "content": {"application/json": {"schema": request, "example": {"seed": 7, "count": 16}}}}
    return {"summary": "Draw images by address.", "requestBody": body, "responses": {"200": images, **errors}}


def _get(meaning: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": meaning,
        "responses": {"200": {"description": meaning, "content": {media_type: {"schema": schema}}}},
    }


def _image_schema(media_type: str) -> dict[str, Any]:
    if media_type != "application/json":
        return {"type": "string", "format": "binary"}
    image = {
        "type": "object",
        "properties": {"index": {"type": "integer"}, "png": {"type": "string", "contentEncoding": "base64"}},
    }
    properties = {
        "digest": {"type": "string"},
        "seed": {"type": "integer"},
        "count": {"type": "integer"},
        "images": {"type": "array", "items": image},
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _error_schema() -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in ("code", "message", "field")}
    error = {"type": "object", "required": ["code", "message"], "properties": properties}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}
