"""Goodfellow et al. 2014, section 4.1, on two known distributions in the plane: what D learns, and what its loss bounds.

Expectations are integrals over a grid, not means of samples, so that "from below" holds exactly.
"""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from drawwell_train.monitor.measures import least_jsd
from drawwell_train.step.losses import discriminator_loss

D_TOLERANCE = 0.02
"""Of the mean of |D - D*| over (p + q) / 2."""
JSD_TOLERANCE = 0.005
"""In nats, of at most log 2 = 0.693."""

_AXIS = torch.linspace(-8, 8, 321)
GRID = torch.cartesian_prod(_AXIS, _AXIS)  # [N, 2]
CELL = float(_AXIS[1] - _AXIS[0]) ** 2

P = MultivariateNormal(torch.tensor([-0.6, 0.0]), torch.tensor([[1.0, 0.3], [0.3, 0.5]]))
Q = MultivariateNormal(torch.tensor([0.6, 0.4]), torch.tensor([[0.6, -0.2], [-0.2, 1.2]]))


def log_density(distribution: MultivariateNormal) -> Tensor:
    """In every cell of the grid, float32 ``[N]``."""
    density: Tensor = distribution.log_prob(GRID)  # type: ignore[no-untyped-call]
    return density


def masses(distribution: MultivariateNormal) -> Tensor:
    """Of every cell of the grid, float32 ``[N]``."""
    return log_density(distribution).exp() * CELL


def divergence(p: MultivariateNormal, q: MultivariateNormal) -> float:
    """The Jensen-Shannon divergence in nats, integrated: the mean of KL(p || m) and KL(q || m) with m = (p + q) / 2."""
    log_p, log_q = log_density(p), log_density(q)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return float((masses(p) * (log_p - log_m) + masses(q) * (log_q - log_m)).sum() / 2)


def trained(p: MultivariateNormal, q: MultivariateNormal) -> nn.Module:
    """D, a small network, after 400 steps on fresh samples of p as real and of q as generated."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    for _ in range(400):
        real, fake = (distribution.sample((1024,)) for distribution in (p, q))
        optimizer.zero_grad()
        discriminator_loss("non-saturating", network(real), network(fake)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        slower.step()
    return network


def loss_of(logits: Tensor, p: MultivariateNormal, q: MultivariateNormal) -> float:
    """The discriminator's loss in expectation: cell by cell, weighed by p and by q."""
    cross_entropies = masses(p) * nn.functional.softplus(-logits) + masses(q) * nn.functional.softplus(logits)
    return float(cross_entropies.sum())


@pytest.mark.parametrize(("p", "q"), [(P, Q), (P, P)], ids=["different", "equal"])
def test_d_reaches_its_optimum_and_bounds_the_divergence_from_below(
    p: MultivariateNormal, q: MultivariateNormal
) -> None:
    logits = trained(p, q)(GRID).detach()
    optimum = (log_density(p) - log_density(q)).sigmoid()  # D* = p / (p + q), equation 2
    error = float(((masses(p) + masses(q)) / 2 * (logits.sigmoid() - optimum).abs()).sum())
    bound, true = least_jsd(loss_of(logits, p, q)), divergence(p, q)
    assert error < D_TOLERANCE
    assert true - JSD_TOLERANCE < bound <= true + 1e-6


def test_the_divergence_is_integrated_right() -> None:
    far = MultivariateNormal(torch.tensor([4.0, 4.0]), 0.1 * torch.eye(2))
    assert float(masses(P).sum()) == pytest.approx(1, abs=1e-4)
    assert divergence(P, P) == pytest.approx(0, abs=1e-6)
    assert divergence(P, far) == pytest.approx(math.log(2), abs=1e-3)
    assert divergence(P, Q) == pytest.approx(divergence(Q, P), abs=1e-6)


def test_the_optimum_has_the_value_of_equation_6() -> None:
    """With D* itself the bound is the divergence; with any other D it is less, down to 0; and with p = q it is -2 log 2."""
    best = log_density(P) - log_density(Q)
    true = divergence(P, Q)
    assert 0.1 < true < 0.6
    assert least_jsd(loss_of(best, P, Q)) == pytest.approx(true, abs=1e-4)
    for other in (0.5 * best, 2 * best, best + 0.5):
        assert 0 < least_jsd(loss_of(other, P, Q)) < true - 1e-3
    assert least_jsd(loss_of(-best, P, Q)) == 0
    assert loss_of(torch.zeros(len(GRID)), P, P) == pytest.approx(2 * math.log(2), abs=1e-4)
