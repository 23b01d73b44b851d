"""The field ``latents`` of a request, decoded row by row.

msgspec takes 15 microseconds for some numbers (1e-320 is one), so a body of 2 MB could take 10 s. Therefore msgspec leaves each
row as bytes, the numbers are counted first, and Python's ``float`` decodes them in at most a microsecond each.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from drawwell_serve.errors import ApiError


def decode_latents(rows: Sequence[msgspec.Raw], dim: int) -> npt.NDArray[np.float32]:
    """Return float32 ``[len(rows), dim]``.

    Args:
        rows: JSON text, one array for each image.
        dim: The number of latents that the generator takes.

    Raises:
        ApiError: 422 unless each row is an array of ``dim`` finite numbers.
    """
    sent = [bytes(row) for row in rows]
    for place, row in enumerate(sent):
        if row.startswith(b"[") and (count := _count(row)) != dim:
            raise _wrong(f"row {place} has {count} numbers, and this generator takes {dim}")
    z = np.array([_numbers(place, row) for place, row in enumerate(sent)], np.float64)
    if len(infinite := np.argwhere(~np.isfinite(z))):
        place, number = infinite[0]
        raise _wrong(f"latents[{place}][{number}]: Number out of range")
    with np.errstate(over="ignore"):
        single = z.astype(np.float32)
    if not np.isfinite(single).all():
        raise _wrong("every number must be finite, also as float32")
    return single


def _count(row: bytes) -> int:
    """The numbers of an array. A comma follows each except the last."""
    return row.count(b",") + bool(row[1:-1].strip())


def _numbers(place: int, row: bytes) -> list[float]:
    try:
        if row.startswith(b"["):
            return list(map(float, row[1:-1].split(b",")))
    except ValueError:
        pass  # msgspec says what is wrong, and where
    try:
        return msgspec.json.decode(row, type=list[float])
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$")
        raise _wrong(f"latents[{place}]{path.rstrip('`')}: {sentence}") from None


def _wrong(message: str) -> ApiError:
    return ApiError(422, "invalid_field", message, "latents")
