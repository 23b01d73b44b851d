"""The arguments that name an address, checked: a seed, and indices or a start and a count."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from drawwell.errors import RequestError
from drawwell.text import printable

Indices = range | Sequence[int] | npt.NDArray[np.integer]
"""The indices of the images of one seed, in the order in which they are drawn."""
CheckedIndices = range | npt.NDArray[np.int64]
"""The same after ``check_indices``: a range with step 1, or int64 ``[n]``, each in [0, 2**63)."""

SEED_LIMIT = 2**63
INDEX_LIMIT = 2**63


def check_address(seed: int, count: int | None, start: int, indices: Indices | None) -> tuple[int, CheckedIndices]:
    """Return the seed and the indices that the arguments of ``generate`` name.

    Raises ``RequestError`` for both a count and indices or neither, no image at all, and a seed or an index outside [0, 2**63).
    """
    try:
        if indices is None:
            indices = _from_start(start, count)
        elif count is not None or start != 0:
            raise RequestError("give count and start, or indices, not both")
        checked = check_indices(indices)
        if not len(checked):
            raise RequestError("indices must hold at least one index")
        return check_seed(seed), checked
    except (TypeError, ValueError) as error:
        raise RequestError(str(error)) from None


def check_seed(seed: int) -> int:
    """Return ``seed`` as an ``int``. Raises ``ValueError`` outside [0, 2**63), ``TypeError`` for anything but an integer."""
    return _check_integer("seed", seed, SEED_LIMIT)


def check_indices(indices: Indices) -> CheckedIndices:
    """Return the indices as a range with step 1 or as int64 ``[n]``. Raises as ``check_seed`` does."""
    if isinstance(indices, range) and indices.step == 1:
        if indices:
            _check_integer("index", indices[0], INDEX_LIMIT)
            _check_integer("index", indices[-1], INDEX_LIMIT)
        return indices
    if isinstance(indices, np.ndarray):
        if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
            raise TypeError(f"indices must be integers in one dimension, not {indices.dtype} in {indices.ndim}")
        if len(indices):
            _check_integer("index", indices.min(), INDEX_LIMIT)
            _check_integer("index", indices.max(), INDEX_LIMIT)
        return indices.astype(np.int64)
    if not isinstance(indices, Iterable):
        raise TypeError(
            f"indices must be several integers, such as [{printable(repr(indices))}], not {type(indices).__name__}"
        )
    return np.array([_check_integer("index", index, INDEX_LIMIT) for index in indices], dtype=np.int64)


def sha256(numbers: npt.NDArray[np.int64]) -> str:
    """Return the SHA-256 of indices or labels as little-endian int64, 64 hex digits: it names them in headers and records."""
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()


def _from_start(start: int, count: int | None) -> range:
    if count is None:
        raise RequestError("give count, the number of images, or indices")
    _check_integer("start", start, INDEX_LIMIT)
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise RequestError(f"count must be an integer of at least 1, not {printable(repr(count))}")
    return range(int(start), int(start) + int(count))


def _check_integer(name: str, value: int, limit: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if not 0 <= value < limit:
        raise ValueError(f"{name} must be in [0, 2**63), not {value}")
    return int(value)
