"""The parts of HTTP that client and server share: the key, and the headers that name the images of a reply."""

import numpy as np

from drawwell.addresses.arguments import CheckedIndices, sha256
from drawwell.files.labels import CheckedLabels

DIGEST = "X-Drawwell-Digest"
SEED = "X-Drawwell-Seed"
START = "X-Drawwell-Start"
INDICES = "X-Drawwell-Indices"
COUNT = "X-Drawwell-Count"
TRUNCATION = "X-Drawwell-Truncation"
LATENTS = "X-Drawwell-Latents"
MEMBER = "X-Drawwell-Member"
LABELS = "X-Drawwell-Labels"
PROVIDER = "X-Drawwell-Provider"
FINGERPRINT = "X-Drawwell-Fingerprint"

ABOUT = (SEED, START, INDICES, COUNT, LABELS, TRUNCATION, LATENTS, MEMBER)
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


def about_labels(labels: CheckedLabels | None) -> dict[str, str]:
    """Return the header that names the chosen labels; none if the labels are those of the addresses."""
    if labels is None:
        return {}
    return {LABELS: sha256(labels) if isinstance(labels, np.ndarray) else str(labels)}
