"""Precision, recall, density and coverage against the package of their authors, and by hand."""

import numpy as np
import pytest
from prdc import compute_prdc

from drawwell_train.evaluation import manifold
from drawwell_train.evaluation.manifold import NEIGHBOURS, Overlap, overlap


def sample(count: int, seed: int, shift: float = 0, dimensions: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32) + np.float32(shift)


@pytest.mark.parametrize(("real", "drawn"), [(200, 200), (200, 170), (130, 300)])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_they_are_those_of_prdc(real: int, drawn: int, shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly: both count. Pieces are smaller than the samples, as they are of 10,000 images."""
    monkeypatch.setattr(manifold, "_ROWS_AT_ONCE", 64)
    a, b = sample(real, 0), sample(drawn, 1, shift)
    theirs, ours = compute_prdc(a, b, NEIGHBOURS), overlap(a, b)
    assert 0 < ours.precision < 1
    assert 0 < ours.recall < 1
    for name, expected in theirs.items():
        assert getattr(ours, name) == pytest.approx(expected, abs=1e-6), name


def test_sets_far_apart_have_nothing_in_common() -> None:
    assert overlap(sample(100, 0), sample(100, 1, 1000)) == Overlap(0, 0, 0, 0)


def test_copies_of_real_images_have_full_precision_and_recall() -> None:
    """Each lies in its own ball and in that of every image whose fifth neighbour it is: k + 1 balls on average."""
    real = sample(100, 0)
    found = overlap(real, real.copy())
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == pytest.approx((NEIGHBOURS + 1) / NEIGHBOURS)


def test_points_on_a_line_have_the_values_computed_by_hand() -> None:
    """Real ones at 0 to 9, whose balls reach 5, 4, 3, 3, 3, 3, 3, 3, 4 and 5; drawn ones twice at -4.5 and eight times at 7.6."""
    real, drawn = np.arange(10, dtype=np.float32)[:, None], np.array([[-4.5]] * 2 + [[7.6]] * 8, np.float32)
    found = overlap(real, drawn)
    assert found.precision == 1
    assert found.density == pytest.approx((2 * 1 + 8 * 5) / 10 / NEIGHBOURS)  # in the balls of 0, and of 5 to 9
    assert found.coverage == pytest.approx(6 / 10)
    assert found.recall == pytest.approx(
        8 / 10
    )  # 0 to 7 are in the ball of -4.5, which reaches 12.1; those of 7.6 are points


def test_only_differences_count() -> None:
    """Exactly: what all features have in common is large, as a network's mean is, and float32 would lose the rest."""
    real, drawn = sample(150, 0, 1000), sample(150, 1, 1000.5)
    assert overlap(real, drawn) == overlap(real.astype(np.float64) - 1000, drawn.astype(np.float64) - 1000)


def test_dropped_modes_are_lost_variety_and_not_lost_realism() -> None:
    modes = np.concatenate([sample(100, seed, 100 * seed) for seed in range(4)])
    found = overlap(modes, sample(400, 9, 0))
    assert found.precision > 0.9
    assert found.recall < 0.3
    assert found.coverage < 0.3


def test_one_constant_image_is_survived() -> None:
    real = sample(100, 0)
    for drawn in (np.zeros((100, 5), np.float32), np.full((100, 5), 1000, np.float32)):
        found = overlap(real, drawn)
        assert found.recall == 0
        assert np.isfinite([found.precision, found.density, found.coverage]).all()
        assert found.precision == (drawn[0, 0] == 0)
