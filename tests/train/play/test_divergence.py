"""Densities, the best D and the divergence, against closed forms and second implementations."""

import math

import pytest
import torch

from drawwell_train.play.divergence import (
    BANDWIDTH,
    CELLS,
    best_discriminator,
    blurred,
    grid,
    jensen_shannon,
    kernel_density,
)
from drawwell_train.play.points import Mixture, mixture_of

DATA = ["ring", "grid", "clusters"]


@pytest.mark.parametrize("data", DATA)
def test_the_density_is_the_one_of_the_points(data: str) -> None:
    mixture = mixture_of(data)
    points = mixture.sample(50_000, torch.Generator().manual_seed(1))
    cells = (points * 8).long().clamp(0, 7)
    counted = torch.bincount(cells[:, 1] * 8 + cells[:, 0], minlength=64) / len(points)
    mass = mixture.density(grid()).reshape(8, 8, 8, 8).sum((1, 3)).flatten() / CELLS**2
    torch.testing.assert_close(mass, counted, atol=0.005, rtol=0)


@pytest.mark.parametrize("data", DATA)
def test_nearly_all_points_of_the_data_are_near_a_mode_and_each_mode_has_its_share(data: str) -> None:
    mixture = mixture_of(data)
    shares = mixture.share_near(mixture.sample(50_000, torch.Generator().manual_seed(2)))
    assert float(shares.sum()) == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert float(shares.min() / shares.max()) > 0.85


def test_the_kernel_density_is_the_mean_of_the_kernels() -> None:
    points = torch.rand(30, 2, generator=torch.Generator().manual_seed(3))
    direct = Mixture(points, BANDWIDTH).density(grid())
    torch.testing.assert_close(kernel_density(points), direct, atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("data", DATA)
def test_a_generator_that_draws_the_data_has_no_divergence_and_leaves_the_best_d_a_coin(data: str) -> None:
    mixture = mixture_of(data)
    p, q = blurred(mixture), kernel_density(mixture.sample(20_000, torch.Generator().manual_seed(4)))
    assert jensen_shannon(p, q) < 0.005
    judged = p > 1
    assert float((best_discriminator(p, q)[judged] - 0.5).abs().max()) < 0.1


def test_the_divergence_of_two_gaussians_is_the_one_that_sampling_finds() -> None:
    one, other = (Mixture(torch.tensor([[x, 0.5]]), 0.06) for x in (0.45, 0.55))
    generator = torch.Generator().manual_seed(5)
    ratios = []
    for drawn_from, against in ((one, other), (other, one)):
        points = drawn_from.sample(200_000, generator)
        own, foreign = drawn_from.density(points), against.density(points)
        ratios.append((2 * own / (own + foreign)).log().mean())
    assert jensen_shannon(one.density(grid()), other.density(grid())) == pytest.approx(
        float(sum(ratios)) / 2, abs=0.003
    )


def test_the_divergence_is_log_2_for_disjoint_supports_however_far_apart() -> None:
    left = Mixture(torch.tensor([[0.2, 0.5]]), 0.02).density(grid())
    for x in (0.5, 0.9):
        right = Mixture(torch.tensor([[x, 0.5]]), 0.02).density(grid())
        assert jensen_shannon(left, right) == pytest.approx(math.log(2), abs=1e-6)
    assert jensen_shannon(left, left) == 0


def test_blurring_both_makes_no_divergence_greater() -> None:
    one, other = mixture_of("ring"), mixture_of("clusters")
    sharp = jensen_shannon(one.density(grid()), other.density(grid()))
    assert jensen_shannon(blurred(one), blurred(other)) <= sharp


def test_the_best_d_is_p_by_p_plus_q_and_a_half_where_there_is_nothing() -> None:
    best = best_discriminator(torch.tensor([3.0, 1.0, 0.0, 0.0]), torch.tensor([1.0, 3.0, 2.0, 0.0]))
    torch.testing.assert_close(best, torch.tensor([0.75, 0.25, 0.0, 0.5]))
