"""What a client may ask, read strictly: unknown fields, wrong types and numbers as strings are refused."""

import asyncio
import re
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request

from drawwell.addresses.arguments import check_address
from drawwell.addresses.latents import interpolate, latents, random_seed
from drawwell.errors import RequestError
from drawwell.files.card import ModelCard
from drawwell.files.labels import CheckedLabels, check_labels, members_of
from drawwell_serve.drawing.body_memory import SHORT_BODY_BYTES
from drawwell_serve.drawing.image_request import Addressed, Drawing, Given
from drawwell_serve.drawing.image_service import Well
from drawwell_serve.errors import ApiError
from drawwell_serve.http.body import read_json
from drawwell_serve.http.latent_rows import given_latents

MAX_INDICES = 65_536
MAX_LATENTS = 512
"""Rows of latents, sent in or interpolated: the body holds them up to some 190 numbers each, in all their digits."""

_SENTENCE = 200
"""Characters of one about a wrong field, which may name a field of any length."""

_Integer63 = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Address(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One image of the well."""

    seed: _Integer63
    index: _Integer63


class Interpolation(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"start": "from", "end": "to"}):
    """From one address to another, both included: spherically for the normal prior, else along the line."""

    start: Address
    end: Address
    steps: Annotated[int, Meta(ge=2, le=MAX_LATENTS)]


_KEYS_OF_INTERPOLATION = len(Interpolation.__struct_fields__) + 2 * len(Address.__struct_fields__)


class GenerateRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which images to draw: ``count`` of them from index ``start`` on, or those of ``indices``; or of no address at all, those of
    ``latents`` or ``interpolate``.
    """

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
    labels: (
        Annotated[
            _Integer63 | Annotated[list[_Integer63], Meta(min_length=1, max_length=MAX_INDICES)],
            Meta(description="One label for all images, or one for each; by default those of their addresses."),
        ]
        | UnsetType
    ) = UNSET
    truncation: (
        Annotated[float, Meta(gt=0, le=1, description="Multiplies the latents: below 1, less variety; 1 by default.")]
        | UnsetType
    ) = UNSET
    latents: (
        Annotated[
            list[Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "array", "items": {"type": "number"}})]],
            Meta(
                min_length=1,
                max_length=MAX_LATENTS,
                description="The generator's inputs themselves, a row of as many finite numbers as it takes for each image.",
            ),
        ]
        | UnsetType
    ) = UNSET
    member: (
        Annotated[
            _Integer63,
            Meta(description="With latents, which generator of a mixture draws them, the first being 0; 0 by default."),
        ]
        | UnsetType
    ) = UNSET
    interpolate: Interpolation | UnsetType = UNSET


_MOST_KEYS = len(GenerateRequest.__struct_fields__) + _KEYS_OF_INTERPOLATION


async def read_drawing(request: Request, well: Well) -> Drawing:
    """Read the body as a ``GenerateRequest``. Raises ``ApiError`` 400, 408, 413, 415 or 422."""
    body = await read_json(request, well)
    if len(body) <= SHORT_BODY_BYTES:  # decoded in about a millisecond; msgspec and numpy take longer for others
        return _drawing(body, well)
    return await asyncio.to_thread(_drawing, body, well)


def _drawing(body: bytes, well: Well) -> Drawing:
    asked = _decode(body)
    truncation = 1.0 if asked.truncation is UNSET else asked.truncation
    if asked.member is not UNSET and asked.latents is UNSET:
        raise _wrong("member goes with latents: an address says itself which generator draws it", "member")
    if asked.latents is UNSET and asked.interpolate is UNSET:
        return _addressed(asked, well, truncation)
    z = _latents(asked, well.engine.card)
    return Given(z, truncation, _labels(asked, well.engine.card, len(z)), _member(asked, well.engine.card))


def _addressed(asked: GenerateRequest, well: Well, truncation: float) -> Addressed:
    if asked.indices is not UNSET and (asked.count is not UNSET or asked.start is not UNSET):
        raise _wrong("give start and count, or indices, not both", "indices")
    count, max_count = _count(asked), well.settings.max_count
    if count > max_count:
        raise _wrong(
            f"{count:,} images were asked for, at most {max_count:,} come in one reply: ask for the rest in another",
            "count" if asked.indices is UNSET else "indices",
        )
    seed = random_seed() if asked.seed is UNSET else asked.seed
    labels = _labels(asked, well.engine.card, count)
    try:
        if asked.indices is UNSET:
            start = 0 if asked.start is UNSET else asked.start
            return Addressed(*check_address(seed, count, start, None), truncation, labels)
        return Addressed(*check_address(seed, None, 0, np.array(asked.indices)), truncation, labels)
    except RequestError as error:  # what is left is a range that runs past the last index
        raise _wrong(str(error), "start") from None


def _latents(asked: GenerateRequest, card: ModelCard) -> npt.NDArray[np.float32]:
    """float32 ``[N, D]`` of a request that names no address."""
    given = "interpolate" if asked.latents is UNSET else "latents"
    if any(value is not UNSET for value in (asked.seed, asked.count, asked.start, asked.indices)):
        raise _wrong(f"{given} takes the place of seed, count, start and indices: give one or the other", given)
    if card.class_names and asked.labels is UNSET:
        raise _wrong("this generator has classes, and without an address there is no label: give labels too", "labels")
    if asked.interpolate is UNSET:
        assert asked.latents is not UNSET
        return given_latents(asked.latents, card.latent_dim)
    if asked.latents is not UNSET:
        raise _wrong("give latents or interpolate, not both", "interpolate")
    way = asked.interpolate
    ends = [latents(end.seed, [end.index], card.latent_dim, card.prior)[0] for end in (way.start, way.end)]
    return interpolate(ends[0], ends[1], way.steps, card.prior)


def _member(asked: GenerateRequest, card: ModelCard) -> int | None:
    """Which generator of a mixture draws what has no address: that of an interpolation's first address draws it all."""
    if asked.interpolate is not UNSET:
        first = asked.interpolate.start
        member = members_of(card, first.seed, [first.index])
        return None if member is None else int(member[0])
    if asked.member is UNSET:
        return 0 if card.members else None
    if not card.members:
        raise _wrong("this file holds one generator, which draws everything: leave member out", "member")
    if asked.member >= card.generators:
        raise _wrong(f"member must be in [0, {card.generators}), not {asked.member}", "member")
    return asked.member


def _labels(asked: GenerateRequest, card: ModelCard, count: int) -> CheckedLabels | None:
    if asked.labels is UNSET:
        return None
    try:
        return check_labels(card, asked.labels if isinstance(asked.labels, int) else np.array(asked.labels), count)
    except RequestError as error:
        raise _wrong(str(error), "labels") from None


def _wrong(message: str, field: str) -> ApiError:
    return ApiError(422, "invalid_field", message, field)


def _count(asked: GenerateRequest) -> int:
    if asked.indices is not UNSET:
        return len(asked.indices)
    return 1 if asked.count is UNSET else asked.count


def _decode(body: bytes) -> GenerateRequest:
    if not body.strip():
        raise ApiError(400, "empty_body", 'the body is empty; send a JSON object, for example {"seed": 7, "count": 16}')
    # no value here is a string, so every colon follows a key. msgspec would decode all of several, and take the last
    if (colons := body.count(b":")) > _MOST_KEYS:
        raise ApiError(
            400,
            "malformed_json",
            f"the body has {colons:,} fields: more than {_MOST_KEYS} means that some are given twice",
        )
    try:
        asked = msgspec.json.decode(body, type=GenerateRequest)
    except msgspec.ValidationError as error:
        raise ApiError(422, "invalid_field", *_explain(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error).removeprefix("JSON is malformed: ")
        raise ApiError(400, "malformed_json", f"the body is no JSON: {why}") from None
    if colons != _keys(asked) + _colons(asked):
        raise ApiError(400, "malformed_json", "a field is given twice")
    return asked


def _keys(asked: GenerateRequest) -> int:
    given = sum(getattr(asked, name) is not UNSET for name in asked.__struct_fields__)
    return given if asked.interpolate is UNSET else given + _KEYS_OF_INTERPOLATION


def _colons(asked: GenerateRequest) -> int:
    """Colons inside rows, which hold something else than numbers and are refused later."""
    return 0 if asked.latents is UNSET else sum(bytes(row).count(b":") for row in asked.latents)


def _explain(message: str) -> tuple[str, str | None]:
    """msgspec's sentence, led by the way to what it speaks of, and the field of the request that this is in."""
    sentence, _, path = message[:_SENTENCE].partition(" - at `$")
    way = path.strip(".`")
    name = re.match(r"(\w+)", way) or re.search(r"unknown field `(\w+)`", sentence)
    return (f"{way}: {sentence}" if way else sentence), name and name[1]
