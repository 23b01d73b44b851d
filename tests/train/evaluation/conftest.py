"""What tests of the measures share."""

import pytest

from drawwell_train import data
from drawwell_train.images import ImageData


@pytest.fixture(autouse=True)
def _always_one_thread(one_thread: None) -> None:
    pass


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """5,000 real digits, 500 of each class, sorted by class."""
    return data.load("digits")
