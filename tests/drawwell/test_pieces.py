"""Work in pieces: every place once, in order."""

import numpy as np
import pytest

from drawwell.pieces import pieces, slices


@pytest.mark.parametrize(("length", "lengths"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (8, [4, 4])])
def test_pieces_cover_everything_once(length: int, lengths: list[int]) -> None:
    assert [piece.stop - piece.start for piece in slices(length, 4)] == lengths
    assert [place for piece in pieces(range(length), 4) for place in piece] == list(range(length))
    assert [len(piece) for piece in pieces(np.arange(length), 4)] == lengths
