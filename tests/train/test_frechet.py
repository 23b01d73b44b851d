"""The Frechet distance against closed forms."""

import numpy as np
import pytest

from drawwell_train.evaluation.frechet import frechet_distance


def gaussian(mean: np.ndarray, covariance: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A sample whose mean and covariance are exactly these."""
    raw = np.random.default_rng(seed).standard_normal((count, len(mean)))
    raw -= raw.mean(0)
    raw = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    white: np.ndarray = raw @ np.linalg.cholesky(covariance).T + mean
    return white


def test_two_gaussians_that_commute() -> None:
    """Diagonal covariances: |m - n|^2 + sum of (sqrt(a) - sqrt(b))^2 (Dowson and Landau 1982)."""
    m, n, a, b = np.array([0.0, 1, 2]), np.array([1.0, 1, 0]), np.array([1.0, 4, 9]), np.array([4.0, 4, 1])
    wanted = ((m - n) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    found = frechet_distance(gaussian(m, np.diag(a), 50, 0), gaussian(n, np.diag(b), 60, 1))
    assert found == pytest.approx(wanted, rel=1e-9)


def test_two_gaussians_that_do_not_commute() -> None:
    """In two dimensions tr((A B)^(1/2)) = sqrt(tr(A B) + 2 sqrt(det(A B)))."""
    a, b = np.array([[2.0, 1], [1, 3]]), np.array([[1.0, -0.5], [-0.5, 2]])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    wanted = np.trace(a) + np.trace(b) - 2 * root
    found = frechet_distance(gaussian(np.zeros(2), a, 50, 0), gaussian(np.zeros(2), b, 50, 1))
    assert found == pytest.approx(wanted, rel=1e-9)


def test_a_sample_has_no_distance_to_itself() -> None:
    sample = np.random.default_rng(0).standard_normal((100, 20)).astype(np.float32)
    assert frechet_distance(sample, sample) == pytest.approx(0, abs=1e-9)
    constant = np.ones((10, 4), np.float32)
    assert frechet_distance(constant, constant) == pytest.approx(0, abs=1e-9)
