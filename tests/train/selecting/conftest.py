"""What tests of selections share."""

import pytest

from drawwell_train.data import dataset as data
from drawwell_train.data.images import ImageData


@pytest.fixture(scope="package")
def digits() -> ImageData:
    """5,000 real digits, 500 of each class, sorted by class."""
    return data.load("digits")
