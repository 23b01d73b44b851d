"""The numbers of a line of ``stats.jsonl`` that the pages show. Other numbers are passed over."""

import math
from itertools import chain
from operator import attrgetter
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from drawwell.files.card_json import UNREADABLE

MOST_STEP = 10**12
Step = Annotated[int, msgspec.Meta(ge=0, lt=MOST_STEP)]
Number = Annotated[float, msgspec.Meta(gt=-1e30, lt=1e30)]
"""Larger numbers are damage: no difference of two of them could be drawn."""


class Row(msgspec.Struct, gc=False):
    """One line. NaN stands for a number that the line lacks."""

    step: Step
    images: Number = math.nan
    images_per_second: Number = math.nan
    loss_d: Number = math.nan
    loss_g: Number = math.nan
    gradient_d: Number = math.nan
    gradient_g: Number = math.nan
    d_real: Number = math.nan
    d_fake: Number = math.nan
    accuracy_d: Number = math.nan
    swing: Number = math.nan
    value: Number = math.nan
    jsd: Number = math.nan
    diversity: Number = math.nan
    kid: Number = math.nan
    conditions: list[str] = []

    def numbers(self) -> dict[str, float]:
        """The numbers that the line has, by their names."""
        named = msgspec.structs.asdict(self).items()
        return {name: value for name, value in named if name != "conditions" and not math.isnan(value)}


NUMBERS = tuple(name for name in Row.__struct_fields__ if name not in ("step", "images", "conditions"))
"""That curves show."""
_DECODER = msgspec.json.Decoder(Row)
_values_of = attrgetter("step", *NUMBERS)


def rows_of(block: bytes) -> list[Row | None]:
    """Decode whole lines, which end with a line break. None stands for a damaged one."""
    try:
        rows = _DECODER.decode_lines(block)
    except UNREADABLE:
        rows = []
    # blank lines are passed over, and are damage
    return [*rows] if len(rows) == block.count(b"\n") else [_row(line) for line in block.split(b"\n")[:-1]]


def table_of(rows: list[Row]) -> npt.NDArray[np.float64]:
    """The steps and ``NUMBERS`` of rows, float64 ``[N, 1 + K]``."""
    values = chain.from_iterable(map(_values_of, rows))
    return np.fromiter(values, np.float64, len(rows) * (1 + len(NUMBERS))).reshape(-1, 1 + len(NUMBERS))


def _row(line: bytes) -> Row | None:
    try:
        return _DECODER.decode(line)
    except UNREADABLE:
        return None
