"""What client and server both know: the key, the header names, and the headers that name the images of a reply."""

import os

import numpy as np

from drawwell.addresses.arguments import CheckedIndices, sha256
from drawwell.errors import RequestError
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
"""Those that say which images a reply holds."""


def authorization() -> dict[str, str]:
    """The header with the key in DRAWWELL_KEY, if any. A URL's ``user:password@`` goes before it. Raises ``RequestError``."""
    key = os.environ.get("DRAWWELL_KEY")
    try:
        return {} if key is None else {"Authorization": f"Bearer {check_key(key)}"}
    except ValueError as error:
        raise RequestError(f"DRAWWELL_KEY: {error}") from None


def check_key(key: str) -> str:
    """Return the key as it is. Raises ``ValueError`` for one that a header cannot carry."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key must be printable ASCII without spaces, and not empty")
    return key


def about(seed: int, indices: CheckedIndices, labels: CheckedLabels | None = None) -> dict[str, str]:
    """The headers that say which images a reply holds; the client compares them with what it asked for."""
    which = {START: str(indices.start)} if isinstance(indices, range) else {INDICES: sha256(indices)}
    about = {SEED: str(seed), COUNT: str(len(indices)), **which}
    return about if labels is None else about | about_labels(labels)


def about_labels(labels: CheckedLabels | None) -> dict[str, str]:
    """The header that says which labels were asked for; none for those of the addresses."""
    if labels is None:
        return {}
    return {LABELS: sha256(labels) if isinstance(labels, np.ndarray) else str(labels)}
