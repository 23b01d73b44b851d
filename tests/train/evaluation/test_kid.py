"""The kernel inception distance against its equation, a second implementation and a closed form."""

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import KernelInceptionDistance

from drawwell_train.evaluation.kid import kid, mmd
from tests.train.evaluation.makers import Identity

Sample = np.ndarray


def sample(count: int, dimensions: int, seed: int, shift: float = 0) -> Sample:
    return np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32) + np.float32(shift)


def equation_4(a: Sample, b: Sample) -> float:
    """Binkowski et al. 2018, equation 4, term by term in float64."""

    def k(x: Sample, y: Sample) -> float:
        return float((x.astype(float) @ y.astype(float) / len(x) + 1) ** 3)

    m, n = len(a), len(b)
    within_a = sum(k(a[i], a[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_b = sum(k(b[i], b[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within_a + within_b - 2 * sum(k(x, y) for x in a for y in b) / (m * n)


def of_shifted_gaussians(dimensions: int, squared_shift: float) -> float:
    """The expectation for N(0, 1) and N(m, 1) in F dimensions, s = |m|^2, where E k needs moments of x . y up to the third:

    ``3 s / F + 3 s^2 / F^2 + (s^3 + 6 s^2 + (3 F + 6) s) / F^3``
    """
    f, s = dimensions, squared_shift
    return 3 * s / f + 3 * s**2 / f**2 + (s**3 + 6 * s**2 + (3 * f + 6) * s) / f**3


def test_kid_is_equation_4_of_its_paper() -> None:
    """Within 1e-5 of itself: the features are float32."""
    a, b = sample(40, 8, 0), sample(40, 8, 1, 0.5)
    assert mmd(a, b) == pytest.approx(equation_4(a, b), rel=1e-5)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save all extracted features")
def test_it_is_that_of_torchmetrics() -> None:
    """The features of a network are many and close to each other. Within 2e-6: kernels of about 2 in float32, summed in another order."""
    a, b = np.abs(sample(100, 1280, 0)) / 2, np.abs(sample(100, 1280, 1)) / 2 + np.float32(0.05)
    theirs = KernelInceptionDistance(Identity(1280), subsets=1, subset_size=100)
    theirs.update(torch.from_numpy(a), real=True)
    theirs.update(torch.from_numpy(b), real=False)
    assert mmd(a, b) == pytest.approx(float(theirs.compute()[0]), abs=2e-6)


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_it_is_the_closed_form_of_two_gaussians_on_average(shift: float) -> None:
    """Within 4 standard errors of the mean of 400 pairs of samples; without a shift that is 0, so it is unbiased."""
    found = [mmd(sample(30, 4, seed), sample(30, 4, 10_000 + seed, shift)) for seed in range(400)]
    standard_error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(of_shifted_gaussians(4, 4 * shift**2), abs=4 * standard_error)
    assert standard_error < 0.02 + of_shifted_gaussians(4, 4 * shift**2) / 20  # so that the line above can fail


@pytest.mark.parametrize("counts", [(200, 200), (200, 300)])
def test_the_mean_over_subsets_is_that_of_all(counts: tuple[int, int]) -> None:
    """A subset's expectation is the value of all, so that their mean is within 4 of its standard errors of it."""
    a, b = sample(counts[0], 8, 0), sample(counts[1], 8, 1, 0.2)
    mean, spread = kid(a, b)
    assert mean == pytest.approx(equation_4(a, b), abs=4 * spread / np.sqrt(100))
    assert mean / 100 < spread < mean  # so that the subsets are not all the same


def test_subsets_are_always_the_same_ones() -> None:
    a, b = sample(200, 8, 0), sample(200, 8, 1)
    assert kid(a, b) == kid(a, b) != kid(a, b, seed=1)


def test_equal_images_are_no_error() -> None:
    """Both constant: exactly alike. One constant: the closed form of ``k`` at two points, 8 + 1 - 2."""
    ones, zeros = np.ones((200, 64), np.float32), np.zeros((200, 64), np.float32)
    assert kid(ones, ones) == pytest.approx((0, 0), abs=1e-5)
    assert kid(ones, zeros) == pytest.approx((8 + 1 - 2, 0), abs=1e-5)
