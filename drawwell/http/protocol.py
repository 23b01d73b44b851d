"""The parts of HTTP that client and server share: the key, and the headers that name the images of a reply."""

import hashlib

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import CheckedIndices, sha256
from drawwell.addresses.scale import Scale
from drawwell.files.labels import CheckedLabels

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


def about(seed: int, indices: CheckedIndices, labels: CheckedLabels | None = None) -> dict[str, str]:
    """Return the headers that name the images of a reply; the client compares them with its request."""
    which = {START: str(indices.start)} if isinstance(indices, range) else {INDICES: sha256(indices)}
    about = {SEED: str(seed), COUNT: str(len(indices)), **which}
    return about if labels is None else about | about_labels(labels)


def about_latents(
    z: npt.NDArray[np.float32], labels: CheckedLabels | None = None, member: int | None = None
) -> dict[str, str]:
    """Return the headers that name images without an address: by their latents ``z``, float32 ``[N, D]``, before any factor."""
    latents = hashlib.sha256(z.astype("<f4").tobytes()).hexdigest()
    of_member = {} if member is None else {MEMBER: str(member)}
    return {COUNT: str(len(z)), LATENTS: latents} | about_labels(labels) | of_member


def about_scale(scale: Scale) -> dict[str, str]:
    """Return the header that names the factor of the latents; none if it is 1."""
    named = {TRUNCATION: scale.truncation, SPREAD: scale.spread}
    return {name: repr(value) for name, value in named.items() if value != 1}


def about_labels(labels: CheckedLabels | None) -> dict[str, str]:
    """Return the header that names the chosen labels; none if the labels are those of the addresses."""
    if labels is None:
        return {}
    return {LABELS: sha256(labels) if isinstance(labels, np.ndarray) else str(labels)}
