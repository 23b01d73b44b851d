"""The parts of HTTP that client and server share: the key, and the headers that name the images of a reply."""

import hashlib

import numpy as np

from drawwell.addresses.arguments import sha256
from drawwell.files.labels import CheckedLabels
from drawwell.image_request import ImageRequest

DIGEST = "X-Drawwell-Digest"
SEED = "X-Drawwell-Seed"
START = "X-Drawwell-Start"
INDICES = "X-Drawwell-Indices"
COUNT = "X-Drawwell-Count"
TRUNCATION = "X-Drawwell-Truncation"
SPREAD = "X-Drawwell-Spread"
LATENTS = "X-Drawwell-Latents"
MEMBER = "X-Drawwell-Member"
LABELS = "X-Drawwell-Labels"
PROVIDER = "X-Drawwell-Provider"
FINGERPRINT = "X-Drawwell-Fingerprint"

ABOUT = (SEED, START, INDICES, COUNT, LABELS, TRUNCATION, SPREAD, LATENTS, MEMBER)
"""The headers that name the images of a reply."""


def check_key(key: str) -> str:
    """Return the key as it is. Raises ``ValueError`` for a key that a header cannot carry."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key must be printable ASCII without spaces, and not empty")
    return key


def about(request: ImageRequest) -> dict[str, str]:
    """Return the headers that name the images of the reply to ``request``; the client compares them with the reply's.

    Images without an address are named by their latents before any factor.
    """
    scale = {TRUNCATION: request.scale.truncation, SPREAD: request.scale.spread}
    scaled = {name: repr(factor) for name, factor in scale.items() if factor != 1}
    return {COUNT: str(len(request))} | _which(request) | _chosen(request.labels) | scaled


def _which(request: ImageRequest) -> dict[str, str]:
    if request.latents is not None:
        member = {} if request.member is None else {MEMBER: str(request.member)}
        return {LATENTS: hashlib.sha256(request.latents.astype("<f4").tobytes()).hexdigest()} | member
    indices = request.indices
    which = {START: str(indices.start)} if isinstance(indices, range) else {INDICES: sha256(indices)}
    return {SEED: str(request.seed)} | which


def _chosen(labels: CheckedLabels | None) -> dict[str, str]:
    """The header that names the chosen labels; none if the labels are those of the addresses."""
    if labels is None:
        return {}
    return {LABELS: sha256(labels) if isinstance(labels, np.ndarray) else str(labels)}
