"""The JSON body of ``POST /generate``, decoded strictly: unknown fields, wrong types and numbers as strings are refused."""

import json
import re
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from drawwell_serve.errors import ApiError

MAX_INDICES = 65_536
MAX_LATENTS = 512
"""Rows of latents, sent or interpolated. A body holds that many rows of up to 190 numbers with all their digits."""

_MESSAGE_CHARACTERS = 200
"""Characters of msgspec's sentence about a wrong field. The sentence may name a field of any length."""

MAX_BUDGETS = 1000
"""Classes in per_class. Colons in the names of classes count too."""

_Integer63 = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Address(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The address of one image."""

    seed: _Integer63
    index: _Integer63


class Interpolation(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"start": "from", "end": "to"}):
    """Images between two addresses, both included: on a sphere for the normal prior, on a line for the uniform prior."""

    start: Address
    end: Address
    steps: Annotated[int, Meta(ge=2, le=MAX_LATENTS)]


_KEYS_OF_INTERPOLATION = len(Interpolation.__struct_fields__) + 2 * len(Address.__struct_fields__)


class GenerateRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The images to draw. Name them by address: ``seed``, and ``start`` and ``count`` or ``indices``. Or send ``latents``, or
    ``interpolate`` between two addresses.
    """

    seed: (
        Annotated[_Integer63, Meta(description="The seed. If it is left out, the server chooses one and returns it.")]
        | UnsetType
    ) = UNSET
    count: Annotated[int, Meta(ge=1, description="The number of images. Default: 1.")] | UnsetType = UNSET
    start: Annotated[_Integer63, Meta(description="The first index. Default: 0.")] | UnsetType = UNSET
    indices: (
        Annotated[
            list[_Integer63],
            Meta(min_length=1, max_length=MAX_INDICES, description="The indices to draw, instead of start and count."),
        ]
        | UnsetType
    ) = UNSET
    labels: (
        Annotated[
            _Integer63 | str | Annotated[list[_Integer63 | str], Meta(min_length=1, max_length=MAX_INDICES)],
            Meta(
                description="One label for all images, or one label for each image, by the name or the number of the class. "
                "Default: the labels of the addresses."
            ),
        ]
        | UnsetType
    ) = UNSET
    per_class: (
        Annotated[
            dict[str, Annotated[int, Meta(ge=1)]],
            Meta(
                min_length=1,
                max_length=MAX_BUDGETS,
                description="How many images of each class, by its name or its number, instead of count, indices and labels: "
                "the first so many indices from start on that have this label.",
            ),
        ]
        | UnsetType
    ) = UNSET
    truncation: (
        Annotated[
            float,
            Meta(gt=0, le=1, description="A factor for the latents. Values below 1 give less variety. Default: 1."),
        ]
        | UnsetType
    ) = UNSET
    spread: (
        Annotated[
            float,
            Meta(gt=0, le=2, description="A factor for the latents, instead of truncation. Default: 1."),
        ]
        | UnsetType
    ) = UNSET
    latents: (
        Annotated[
            list[Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "array", "items": {"type": "number"}})]],
            Meta(
                min_length=1,
                max_length=MAX_LATENTS,
                description="The generator's inputs: for each image a row of latent_dim finite numbers.",
            ),
        ]
        | UnsetType
    ) = UNSET
    member: (
        Annotated[
            _Integer63,
            Meta(
                description="With latents and a mixture: the number of the generator that draws them. Default: 0, the first one."
            ),
        ]
        | UnsetType
    ) = UNSET
    interpolate: Interpolation | UnsetType = UNSET


class _Named(msgspec.Struct, frozen=True):
    """The fields whose text may hold any colon, as text."""

    labels: msgspec.Raw = msgspec.Raw()
    per_class: msgspec.Raw = msgspec.Raw()


_MOST_KEYS = len(GenerateRequest.__struct_fields__) + _KEYS_OF_INTERPOLATION


def decode(body: bytes) -> GenerateRequest:
    """Decode a body.

    Raises:
        ApiError: 400 if the body is not JSON or gives a field twice, 422 if a field is unknown, of a wrong type or out of
            range.
    """
    if not body.strip():
        raise ApiError(400, "empty_body", 'the body is empty: send a JSON object, for example {"seed": 7, "count": 16}')
    # msgspec would decode a field that is given twice, and take the last. Only names of classes hold colons, so colons count fields
    if (colons := body.count(b":")) > _MOST_KEYS + MAX_BUDGETS:
        known = f"the body has {colons:,} fields, and {_MOST_KEYS} are known"
        message = f"{known}: give each once, and a class by its number if a colon is in its name"
        raise ApiError(400, "malformed_json", message)
    try:
        decoded = msgspec.json.decode(body, type=GenerateRequest)
    except msgspec.ValidationError as error:
        raise ApiError(422, "invalid_field", *_explain(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error).removeprefix("JSON is malformed: ")
        raise ApiError(400, "malformed_json", f"the body is not valid JSON: {why}") from None
    if colons != _colons(body, decoded):
        raise ApiError(400, "malformed_json", "the body gives a field twice: give each field once")
    return decoded


def _colons(body: bytes, decoded: GenerateRequest) -> int:
    """The colons of a body that gives each field once."""
    colons = sum(getattr(decoded, name) is not UNSET for name in decoded.__struct_fields__)
    if decoded.interpolate is not UNSET:
        colons += _KEYS_OF_INTERPOLATION
    if decoded.latents is not UNSET:
        # rows that hold a colon hold something else than numbers, and are refused later
        colons += sum(bytes(row).count(b":") for row in decoded.latents)
    if decoded.per_class is not UNSET or isinstance(decoded.labels, str | list):
        named = msgspec.json.decode(body, type=_Named)
        colons += sum(bytes(text).count(b":") for text in (named.labels, named.per_class))
        _check_classes_once(bytes(named.per_class), decoded.per_class)
    return colons


def _check_classes_once(text: bytes, budgets: dict[str, int] | UnsetType) -> None:
    """Raise ``ApiError`` for a class that ``per_class`` names twice: msgspec took the last."""
    if budgets is not UNSET and len(json.loads(text, object_pairs_hook=list)) != len(budgets):
        raise ApiError(400, "malformed_json", "per_class gives a class twice: give each class once")


def _explain(message: str) -> tuple[str, str | None]:
    """msgspec's sentence, after the path of the wrong value, and the field of the request that holds it."""
    sentence, _, path = message[:_MESSAGE_CHARACTERS].partition(" - at `$")
    way = path.strip(".`")
    name = re.match(r"(\w+)", way) or re.search(r"unknown field `(\w+)`", sentence)
    return (f"{way}: {sentence}" if way else sentence), name and name[1]
