"""The npy file with its checksum: whole, in pieces, and without the footer."""

import io

import numpy as np
import pytest

from drawwell.formats.npy import FOOTER_BYTES, FOOTER_MAGIC, Npy

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 1)).astype(np.uint8)


def test_pieces_make_the_same_file_as_the_whole() -> None:
    npy = Npy(IMAGES.shape)
    pieces = [npy.append(IMAGES[:2].tobytes()), npy.append(IMAGES[2:].tobytes())]
    made = b"".join([npy.header, *pieces, npy.end()])
    assert made == Npy.encode(IMAGES)
    assert len(made) == npy.length
    assert made[-FOOTER_BYTES:].startswith(FOOTER_MAGIC)
    np.testing.assert_array_equal(Npy.decode(made, IMAGES.shape), IMAGES)


def test_numpy_reads_it_with_and_without_the_footer() -> None:
    plain = io.BytesIO()
    np.save(plain, IMAGES)
    assert Npy.encode(IMAGES, has_footer=False) == plain.getvalue()
    assert Npy(IMAGES.shape, has_footer=False).length == len(plain.getvalue())
    np.testing.assert_array_equal(np.load(io.BytesIO(Npy.encode(IMAGES))), IMAGES)


@pytest.mark.parametrize("place", [0, 20, -FOOTER_BYTES - 1, -1])
def test_a_byte_that_changed_is_found(place: int) -> None:
    body = bytearray(Npy.encode(IMAGES))
    body[place] ^= 1
    with pytest.raises(ValueError, match=r"checksum|not the array that was requested"):
        Npy.decode(body, IMAGES.shape)


def test_what_was_read_cannot_be_changed() -> None:
    assert not Npy.decode(bytearray(Npy.encode(IMAGES)), IMAGES.shape).flags.writeable
