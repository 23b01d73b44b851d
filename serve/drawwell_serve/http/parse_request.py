"""From the body of ``POST /generate`` to the images that it asks for, checked against the generator."""

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from drawwell.addresses.arguments import check_indices
from drawwell.addresses.latents import random_seed
from drawwell.addresses.scale import Scale
from drawwell.errors import RequestError
from drawwell.files.budgets import budget_indices
from drawwell.files.card import ModelCard
from drawwell.files.labels import CheckedLabels, check_labels
from drawwell.image_request import ImageRequest, between
from drawwell_serve.errors import ApiError
from drawwell_serve.http.generate_request import MAX_INDICES, GenerateRequest, decode
from drawwell_serve.http.latents_field import decode_latents

MAX_TRIES = 2**18
"""Indices that a request with ``per_class`` may make the server look at: they take as long as drawing some thousand images."""


def parse_request(body: bytes, card: ModelCard, max_count: int) -> ImageRequest:
    """Parse the JSON body of ``POST /generate``.

    Args:
        body: The whole body.
        card: The card of the generator, which decides whether labels, latents and members are valid.
        max_count: The most images of one reply.

    Returns:
        The images to draw. If the body names no seed, a random one was chosen.

    Raises:
        ApiError: 400 if the body is not JSON, 422 if a field is invalid.
    """
    fields = decode(body)
    if fields.member is not UNSET and fields.latents is UNSET:
        raise _invalid("member goes with latents: in a mixture, an address chooses its generator by itself", "member")
    scale = _scale(fields)
    if fields.latents is not UNSET or fields.interpolate is not UNSET:
        z, member = _latents(fields, card)
        return ImageRequest(None, range(len(z)), _labels(fields, card, len(z)), scale, z, member)
    seed = random_seed() if fields.seed is UNSET else fields.seed
    if fields.per_class is not UNSET:
        return ImageRequest(seed, _budget_indices(fields, fields.per_class, card, seed, max_count), scale=scale)
    indices, count = _indices(fields, max_count)
    labels = _labels(fields, card, count)
    try:
        checked = check_indices(indices)
    except ValueError:
        raise _invalid("start and count reach past the last index, 2^63 - 1: choose less of one", "start") from None
    return ImageRequest(seed, checked, labels, scale)


def _scale(fields: GenerateRequest) -> Scale:
    if fields.spread is not UNSET and fields.truncation is not UNSET:
        raise _invalid("truncation and spread are both a factor of the latents: give one or the other", "spread")
    truncation = 1.0 if fields.truncation is UNSET else fields.truncation
    return Scale(truncation, 1.0 if fields.spread is UNSET else fields.spread)


def _budget_indices(
    fields: GenerateRequest, per_class: dict[str, int], card: ModelCard, seed: int, max_count: int
) -> npt.NDArray[np.int64]:
    """The indices of ``per_class``, at most ``max_count``."""
    if any(value is not UNSET for value in (fields.count, fields.indices, fields.labels)):
        raise _invalid("per_class replaces count, indices and labels: give one or the other", "per_class")
    if (count := sum(per_class.values())) > (most := min(max_count, MAX_INDICES)):
        message = f"{count:,} images of chosen classes are too many for one reply: ask for at most {most:,}"
        raise _invalid(message, "per_class")
    start = 0 if fields.start is UNSET else fields.start
    try:
        return budget_indices(card, seed, per_class, start, MAX_TRIES)
    except RequestError as error:
        raise _invalid(str(error), "per_class") from None


def _indices(fields: GenerateRequest, max_count: int) -> tuple[range | npt.NDArray[np.int64], int]:
    """The indices, and their number, which is at most ``max_count``."""
    if fields.indices is not UNSET and (fields.count is not UNSET or fields.start is not UNSET):
        raise _invalid("give start and count, or indices, not both", "indices")
    start = 0 if fields.start is UNSET else fields.start
    count = 1 if fields.count is UNSET else fields.count
    if fields.indices is not UNSET:
        count = len(fields.indices)
    if count > max_count:
        field = "count" if fields.indices is UNSET else "indices"
        message = f"{count:,} images are too many for one reply: ask for at most {max_count:,}, and for the rest in other requests"
        raise _invalid(message, field)
    return range(start, start + count) if fields.indices is UNSET else np.array(fields.indices, np.int64), count


def _latents(fields: GenerateRequest, card: ModelCard) -> tuple[npt.NDArray[np.float32], int | None]:
    """The latents, float32 ``[N, D]``, of a request that names no address, and the member of a mixture that draws them."""
    name = "interpolate" if fields.latents is UNSET else "latents"
    if any(value is not UNSET for value in (fields.seed, fields.count, fields.start, fields.indices, fields.per_class)):
        raise _invalid(f"{name} replaces seed, count, start and indices: give one or the other", name)
    if card.class_names and fields.labels is UNSET:
        raise _invalid(
            "this generator has classes, and without an address there is no label: give labels too", "labels"
        )
    if fields.interpolate is UNSET:
        assert fields.latents is not UNSET
        return decode_latents(fields.latents, card.latent_dim), _member(fields, card)
    if fields.latents is not UNSET:
        raise _invalid("give latents or interpolate, not both", "interpolate")
    ends = fields.interpolate
    return between((ends.start.seed, ends.start.index), (ends.end.seed, ends.end.index), ends.steps, card)


def _member(fields: GenerateRequest, card: ModelCard) -> int | None:
    """The generator of a mixture that draws all images; None for a single generator."""
    if fields.member is UNSET:
        return 0 if card.members else None
    if not card.members:
        raise _invalid("this server draws from a single generator, not from a mixture: leave member out", "member")
    if fields.member >= card.generators:
        raise _invalid(f"member must be in [0, {card.generators}), not {fields.member}", "member")
    return fields.member


def _labels(fields: GenerateRequest, card: ModelCard, count: int) -> CheckedLabels | None:
    if fields.labels is UNSET:
        return None
    try:
        return check_labels(card, fields.labels, count)
    except RequestError as error:
        raise _invalid(str(error), "labels") from None


def _invalid(message: str, field: str) -> ApiError:
    return ApiError(422, "invalid_field", message, field)
