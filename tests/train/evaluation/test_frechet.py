"""The Frechet distance against closed forms and a second implementation."""

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from drawwell_train.evaluation.frechet import frechet_distance
from tests.train.evaluation.makers import Identity, gaussian


def test_two_gaussians_that_commute() -> None:
    """Diagonal covariances: |m - n|^2 + sum of (sqrt(a) - sqrt(b))^2 (Dowson and Landau 1982)."""
    m, n, a, b = np.array([0.0, 1, 2]), np.array([1.0, 1, 0]), np.array([1.0, 4, 9]), np.array([4.0, 4, 1])
    expected = ((m - n) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    found = frechet_distance(gaussian(m, np.diag(a), 50, 0), gaussian(n, np.diag(b), 60, 1))
    assert found == pytest.approx(expected, rel=1e-9)


def test_two_gaussians_that_do_not_commute() -> None:
    """In two dimensions tr((A B)^(1/2)) = sqrt(tr(A B) + 2 sqrt(det(A B)))."""
    a, b = np.array([[2.0, 1], [1, 3]]), np.array([[1.0, -0.5], [-0.5, 2]])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a) + np.trace(b) - 2 * root
    found = frechet_distance(gaussian(np.zeros(2), a, 50, 0), gaussian(np.zeros(2), b, 50, 1))
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.filterwarnings("ignore:Metric `FrechetInceptionDistance` will save all extracted features")
@pytest.mark.parametrize("count", [60, 30])  # of 40 dimensions: the latter's covariance has no full rank
def test_it_is_that_of_torchmetrics(count: int) -> None:
    """Within 1e-4 of itself: torchmetrics takes the roots of eigenvalues that are complex but for rounding."""
    chance = np.random.default_rng(0)
    a, b = (chance.standard_normal((count, 40)) @ chance.standard_normal((40, 40)) + place for place in (0, 0.5))
    theirs = FrechetInceptionDistance(Identity(40)).set_dtype(torch.float64)
    theirs.update(torch.from_numpy(a), real=True)
    theirs.update(torch.from_numpy(b), real=False)
    assert frechet_distance(a, b) == pytest.approx(float(theirs.compute()), rel=1e-4)


def test_features_of_float32_are_summed_in_float64() -> None:
    """A large common offset, as of pixels, cancels: float32 sums would be off by more than the distance."""
    a, b = (np.random.default_rng(seed).standard_normal((20_000, 2)) for seed in (0, 1))
    expected = frechet_distance(a, b)
    found = frechet_distance((a + 3000).astype(np.float32), (b + 3000).astype(np.float32))
    assert expected < 1e-3
    assert found == pytest.approx(expected, rel=0.05)


def test_a_sample_has_no_distance_to_itself() -> None:
    sample = np.random.default_rng(0).standard_normal((100, 20)).astype(np.float32)
    assert frechet_distance(sample, sample) == pytest.approx(0, abs=1e-9)
    constant = np.ones((10, 4), np.float32)
    assert frechet_distance(constant, constant) == pytest.approx(0, abs=1e-9)


def test_one_constant_image_is_as_far_as_its_mean_and_all_that_varies() -> None:
    """Of a Gaussian and a point: |m - n|^2 + tr(A)."""
    constant, varied = np.ones((50, 2), np.float32), gaussian(np.zeros(2), np.diag([1.0, 4]), 50, 0)
    assert frechet_distance(varied, constant) == pytest.approx(2 + 5, rel=1e-6)
