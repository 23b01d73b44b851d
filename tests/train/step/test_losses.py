"""The losses are the equations of their papers."""

import math

import pytest
import torch
from torch import Tensor

from drawwell_train.step.losses import discriminator_loss, generator_loss
from drawwell_train.step.penalties import gradient_penalty

REAL, FAKE = torch.tensor([0.7, -1.2]), torch.tensor([0.3, 2.0])
D_REAL, D_FAKE = REAL.sigmoid(), FAKE.sigmoid()


def test_d_descends_both_cross_entropies() -> None:
    expected = float((-D_REAL.log()).mean() + (-(1 - D_FAKE).log()).mean())
    for loss in ("non-saturating", "minimax"):
        assert float(discriminator_loss(loss, REAL, FAKE)) == pytest.approx(expected)


def test_label_smoothing_is_one_sided() -> None:
    expected = (-0.9 * D_REAL.log() - 0.1 * (1 - D_REAL).log()).mean() + (-(1 - D_FAKE).log()).mean()
    assert float(discriminator_loss("non-saturating", REAL, FAKE, 0.1)) == pytest.approx(float(expected))


def test_g_descends_what_its_loss_says() -> None:
    assert float(generator_loss("non-saturating", FAKE)) == pytest.approx(float(-D_FAKE.log().mean()))
    assert float(generator_loss("minimax", FAKE)) == pytest.approx(float((1 - D_FAKE).log().mean()))
    assert float(generator_loss("wasserstein", FAKE)) == pytest.approx(float(-FAKE.mean()))
    assert float(discriminator_loss("wasserstein", REAL, FAKE)) == pytest.approx(float(FAKE.mean() - REAL.mean()))


def test_minimax_saturates_where_d_is_sure_and_the_other_does_not() -> None:
    """Goodfellow et al. 2014, section 3: the gradient at a logit of -8 is D(G(z)), against 1 - D(G(z))."""
    gradients = {}
    for loss in ("minimax", "non-saturating"):
        sure = torch.tensor([-8.0], requires_grad=True)
        generator_loss(loss, sure).backward()  # type: ignore[no-untyped-call]
        gradients[loss] = abs(float(sure.grad)) if sure.grad is not None else math.nan
    assert gradients["minimax"] == pytest.approx(1 / (1 + math.exp(8)), rel=1e-3)
    assert gradients["non-saturating"] == pytest.approx(1, rel=1e-3)


def test_the_penalty_of_a_linear_critic_is_known() -> None:
    """f(x) = <w, x> has gradient w everywhere: (|w| - 1)**2, whatever the images; and no gradient where |w| is 1."""
    real, fake, epsilon = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3), torch.rand(4)
    weight = torch.full((9,), 0.5, requires_grad=True)

    def critic(images: Tensor) -> Tensor:
        return images.flatten(1) @ weight

    penalty = gradient_penalty(critic, real, fake, epsilon)
    assert float(penalty.detach()) == pytest.approx((1.5 - 1) ** 2)
    (slope,) = torch.autograd.grad(penalty, weight)
    assert torch.allclose(slope, torch.full((9,), 2 * 0.5 * 0.5 / 1.5))


def test_the_penalty_is_taken_at_one_point_for_each_image() -> None:
    """f(x) = x**2 / 2 summed has gradient x, so that the norm tells where it was taken."""
    real, fake, epsilon = torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2), torch.tensor([0.25, 1.0])
    penalty = gradient_penalty(lambda images: (images**2).flatten(1).sum(1) / 2, real, fake, epsilon)
    assert float(penalty.detach()) == pytest.approx(((2 * 0.25 - 1) ** 2 + (2 * 1.0 - 1) ** 2) / 2)


def test_hinge_is_miyatos_equation_16_and_g_climbs_d() -> None:
    """D gets no gradient from images beyond the margin of 1, on its side of it."""
    real, fake = torch.tensor([0.7, -1.2, 3.0]), torch.tensor([0.3, 2.0, -3.0])
    expected = ((1 - 0.7) + (1 + 1.2) + 0) / 3 + ((1 + 0.3) + (1 + 2.0) + 0) / 3
    assert float(discriminator_loss("hinge", real, fake)) == pytest.approx(expected)
    assert float(generator_loss("hinge", fake)) == pytest.approx(-float(fake.mean()))


def test_relativistic_compares_pairs_and_g_exchanges_the_sides() -> None:
    """-log sigmoid(f(x) - f(G(z))); adding a number to all logits changes nothing."""
    expected = float(-(REAL - FAKE).sigmoid().log().mean())
    assert float(discriminator_loss("relativistic", REAL, FAKE)) == pytest.approx(expected)
    assert float(discriminator_loss("relativistic", REAL + 5, FAKE + 5)) == pytest.approx(expected, rel=1e-5)
    assert float(generator_loss("relativistic", FAKE, REAL)) == pytest.approx(
        float(-(FAKE - REAL).sigmoid().log().mean())
    )
