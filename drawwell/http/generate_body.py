"""The body that a client sends for images."""

from typing import Any

import msgspec
import numpy as np

from drawwell.image_request import ImageRequest

_MAX_ROWS, _MAX_NUMBERS, _CHARACTERS = 512, 2_000_000, 26
"""Of latents in one request: rows, and characters of all numbers, each of which takes at most so many."""


def body_of(request: ImageRequest) -> bytes:
    """Return the JSON body of ``POST /generate``."""
    fields = _which(request)
    if request.labels is not None:
        fields["labels"] = request.labels.tolist() if isinstance(request.labels, np.ndarray) else request.labels
    scale = {"truncation": request.scale.truncation, "spread": request.scale.spread}
    return msgspec.json.encode(fields | {name: value for name, value in scale.items() if value != 1})


def most_latents(latent_dim: int) -> int:
    """Return how many rows of latents fit in one body."""
    return min(_MAX_ROWS, max(1, _MAX_NUMBERS // (_CHARACTERS * latent_dim)))


def _which(request: ImageRequest) -> dict[str, Any]:
    if request.latents is not None:
        member = {} if request.member is None else {"member": request.member}
        return {"latents": request.latents.astype(np.float64).tolist()} | member
    if isinstance(request.indices, range):
        return {"seed": request.seed, "start": request.indices.start, "count": len(request)}
    return {"seed": request.seed, "indices": request.indices.tolist()}
