"""Work in pieces, so that its memory is bounded however much there is of it."""

from collections.abc import Iterator
from typing import Protocol, Self, TypeVar


class Sliceable(Protocol):
    """A range, a list, an array or a tensor."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: slice, /) -> Self: ...


Whole = TypeVar("Whole", bound=Sliceable)


def slices(length: int, size: int) -> Iterator[slice]:
    """Yield the slices of at most ``size`` that cover ``length`` places, in order; the last one ends at ``length``."""
    for first in range(0, length, size):
        yield slice(first, min(first + size, length))


def pieces(whole: Whole, size: int) -> Iterator[Whole]:
    """Yield consecutive pieces of at most ``size`` places."""
    for places in slices(len(whole), size):
        yield whole[places]
