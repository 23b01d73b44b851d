"""Copies: told from new images by the nearest learned ones."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from drawwell_train.data.images import ImageData
from drawwell_train.evaluation import neighbours
from drawwell_train.evaluation.neighbours import Nearest, copying, nearest, picture


def at(distances: np.ndarray) -> Nearest:
    return Nearest(distances.astype(np.float64), np.zeros(len(distances), np.int64))


@pytest.mark.parametrize("distinct", [5, 10**6])  # the former makes ties of most pairs
def test_copying_is_the_mann_whitney_statistic(distinct: int) -> None:
    chance = np.random.default_rng(0)
    drawn, unseen = chance.integers(0, distinct, 300), chance.integers(distinct // 5, distinct + distinct // 5, 170)
    expected = mannwhitneyu(unseen, drawn).statistic / (len(drawn) * len(unseen))  # pairs with the unseen one farther
    assert copying(at(drawn), at(unseen)) == pytest.approx(expected, abs=1e-12)
    assert expected > 0.55


def test_copying_counts_pairs_and_half_of_ties() -> None:
    assert copying(at(np.array([1, 2])), at(np.array([2, 3, 0]))) == pytest.approx((1 + 0.5 + 2 + 0) / 6)
    assert copying(at(np.zeros(4)), at(np.zeros(3))) == 0.5


def test_copies_are_told_from_new_images(digits: ImageData) -> None:
    order = np.random.default_rng(0).permutation(5000)
    learned, unseen, new = (digits.images[rows] for rows in np.split(order[:2000], [1000, 1500]))
    far = nearest(unseen, learned)
    assert copying(nearest(learned[:500], learned), far) > 0.97
    assert copying(nearest(new, learned), far) == pytest.approx(0.5, abs=0.07)  # 4 standard errors of 500 against 500
    noise = np.random.default_rng(1).integers(0, 256, new.shape).astype(np.uint8)
    assert copying(nearest(noise, learned), far) < 0.01


def test_the_nearest_is_found_by_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces are smaller than the images are many. Within 1e-3 of a range of 256 levels: float32."""
    monkeypatch.setattr(neighbours, "_ROWS_AT_ONCE", 7)
    chance = np.random.default_rng(0)
    images, learned = (chance.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8) for count in (20, 30))
    brute = np.linalg.norm((images[:, None] / 255.0 - learned[None] / 255.0).reshape(20, 30, -1), axis=2)
    found = nearest(images, learned)
    assert found.places.tolist() == brute.argmin(1).tolist()
    assert found.distances == pytest.approx(brute.min(1), abs=1e-3)


def test_a_copy_that_is_a_pixel_off_is_one_at_64_pixels() -> None:
    smooth = np.kron(np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    moved = np.roll(smooth, 1, axis=2)
    assert nearest(moved, smooth).places.tolist() == list(range(50))


def test_above_32_pixels_means_are_compared() -> None:
    plain = np.full((1, 64, 64, 1), 100, np.uint8)
    checked = plain + 20 * ((np.indices((64, 64)).sum(0) % 2)[None, :, :, None] * 2 - 1).astype(np.uint8)
    assert np.ptp(checked) == 40
    assert nearest(checked, plain).distances == pytest.approx([0], abs=1e-3)


def test_the_picture_shows_pairs_the_likeliest_copies_first() -> None:
    levels = np.array([0, 50, 100, 150], np.uint8)[:, None, None, None]
    learned, off = np.tile(levels, (1, 4, 4, 1)), np.array([9, 1, 5], np.uint8)[:, None, None, None]
    drawn = learned[1:] + off
    sheet = picture(drawn, learned, nearest(drawn, learned))[..., 0]
    assert [level for level in sheet[3] if level != 255][::4] == [101, 155, 59]
    assert [level for level in sheet[9] if level != 255][::4] == [100, 150, 50]


def test_the_picture_has_32_pairs_at_most() -> None:
    many = np.random.default_rng(0).integers(0, 250, (100, 4, 4, 3)).astype(np.uint8)
    sheet = picture(many, many, nearest(many, many))
    cell = 6  # four pixels and a gap of two
    assert sheet.shape == (8 * cell + 2, 8 * cell + 2, 3)
