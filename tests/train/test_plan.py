"""The plan that `drawwell train` prints before it begins."""

import numpy as np
import pytest

from drawwell_train.data.images import ImageData
from drawwell_train.main import describe
from drawwell_train.options import TrainOptions
from drawwell_train.resolve import facts_of_images, resolve

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("channels", "steps", "conditional", "advised"),
    [(1, 40_000, True, True), (1, 30_000, True, False), (3, 40_000, True, False), (1, 40_000, False, False)],
)
def test_rpgan_is_advised_for_long_trainings_on_grey_classes(
    channels: int, steps: int, conditional: bool, advised: bool
) -> None:
    """On CIFAR-10 it was far behind dcgan."""
    data = ImageData(np.zeros((64, 28, 28, channels), np.uint8), np.arange(64) % 2, ("a", "b"))
    options = TrainOptions("x", steps=steps, conditional=conditional, width=8)
    assert ("--preset rpgan is better" in describe(resolve(options, facts_of_images(options, data)), data)) is advised
