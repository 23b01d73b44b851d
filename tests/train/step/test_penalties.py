"""R1, R2, their finite difference and consistency, against critics whose answer is known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from drawwell_train.step.penalties import inconsistency, moved, squared_difference, squared_gradient

IMAGES = torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(0))


def quadratic(images: Tensor) -> Tensor:
    return images.flatten(1).square().sum(1) / 2


def test_the_gradient_of_a_quadratic_is_the_image() -> None:
    assert float(squared_gradient(quadratic, IMAGES).detach()) == pytest.approx(
        float(IMAGES.flatten(1).square().sum(1).mean())
    )


def test_a_penalty_teaches_the_weights_of_d() -> None:
    """f(x) = <w, x>: the penalty is |w|**2, whose gradient is 2 w."""
    weight = torch.arange(18.0).requires_grad_(True)
    squared_gradient(lambda images: images.flatten(1) @ weight, IMAGES).backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None and torch.allclose(weight.grad, 2 * weight.detach())


def test_the_finite_difference_is_the_gradient_in_the_mean() -> None:
    """E <w, n>**2 = |w|**2 of normal noise n; of a smooth critic to first order in the noise."""
    weight, images = torch.arange(18.0), IMAGES.repeat(2500, 1, 1, 1)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))

    def linear(images: Tensor) -> Tensor:
        return images.flatten(1) @ weight

    found = squared_difference(linear, images, noise)
    assert float(found) == pytest.approx(float(squared_gradient(linear, images).detach()), rel=0.05)
    of_quadratic = squared_difference(quadratic, images, noise)
    assert float(of_quadratic) == pytest.approx(float(squared_gradient(quadratic, images).detach()), rel=0.05)


def test_images_move_as_padding_by_reflection_moves_them() -> None:
    images = torch.arange(4 * 2 * 5 * 5.0).reshape(4, 2, 5, 5)
    rows, columns = torch.tensor([0, 2, -1, 1]), torch.tensor([0, -2, 0, 1])
    mirrored = torch.tensor([False, False, True, True])
    for image, row, column, mirror, change in zip(
        images.numpy(), rows.tolist(), columns.tolist(), mirrored, moved(images, rows, columns, mirrored), strict=True
    ):
        source = image[:, :, ::-1] if mirror else image
        padded = np.pad(source, ((0, 0), (2, 2), (2, 2)), mode="reflect")
        assert np.array_equal(change.numpy(), padded[:, 2 + row : 7 + row, 2 + column : 7 + column])


def test_a_critic_that_sees_no_places_is_consistent() -> None:
    count = len(IMAGES)
    rows, mirrored = torch.ones(count, dtype=torch.int64), torch.ones(count, dtype=torch.bool)

    def place(images: Tensor) -> Tensor:
        return images[:, 0, 0, 0]

    still = torch.zeros_like(rows)
    assert float(inconsistency(quadratic, IMAGES, quadratic(IMAGES), still, still, mirrored)) == pytest.approx(
        0, abs=1e-9
    )
    expected = float((IMAGES[:, 0, 1, 0] - IMAGES[:, 0, 0, 0]).square().mean())
    assert float(inconsistency(place, IMAGES, place(IMAGES), rows, still, ~mirrored)) == pytest.approx(expected)
