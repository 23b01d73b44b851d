"""When conditions were active, for the colours of the pages."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from drawwell_train.monitor.conditions import COLLAPSE, NAN, OSCILLATION, STRONG, WEAK

CONDITIONS = (STRONG, WEAK, OSCILLATION, COLLAPSE, NAN)
"""Their place is the number of their colour; a condition of another version has the number after the last."""
NAMES = (*CONDITIONS, "another condition")
"""By the numbers of their colours."""
_MOST = 500
"""Of one colour. Gaps that are narrower than that part of the run are closed: no screen shows them."""


class Band(NamedTuple):
    """Steps at which a condition was active. ``colour`` is a number of the style sheet."""

    first: int
    last: int
    colour: int


class Bands:
    """The bands of a run, from its first change of conditions on."""

    def __init__(self) -> None:
        self._begun: dict[int, int] = {}
        self._ended = defaultdict[int, list[Band]](list)

    def change(self, step: int, active: Iterable[str]) -> None:
        """From ``step`` on the conditions ``active`` hold."""
        now = set(map(colour_of, active))
        for colour in self._begun.keys() - now:
            self._end(colour, step)
        self._begun |= dict.fromkeys(now - self._begun.keys(), step)

    def until(self, step: int) -> tuple[Band, ...]:
        """All bands, by colour; those that are still active end at ``step``."""
        active = [Band(first, step, colour) for colour, first in self._begun.items()]
        ended = (band for bands in self._ended.values() for band in bands)
        return tuple(sorted([*ended, *active], key=lambda band: (band.colour, band.first)))

    def _end(self, colour: int, step: int) -> None:
        bands = self._ended[colour]
        bands.append(Band(self._begun.pop(colour), step, colour))
        if len(bands) > _MOST:
            self._ended[colour] = _joined(bands, step / _MOST)


def _joined(bands: list[Band], gap: float) -> list[Band]:
    joined = bands[:1]
    for band in bands[1:]:
        if band.first - joined[-1].last < gap:
            joined[-1] = joined[-1]._replace(last=band.last)
        else:
            joined.append(band)
    return joined


def colour_of(condition: str) -> int:
    """The number of the colour of a condition."""
    return CONDITIONS.index(condition) if condition in CONDITIONS else len(CONDITIONS)
