"""What tests of the measures share."""

from collections.abc import Iterator
from functools import cache

import pytest

from drawwell_train import data
from drawwell_train.images import ImageData


@pytest.fixture(autouse=True)
def _always_one_thread(one_thread: None) -> None:
    pass


@pytest.fixture(scope="session", autouse=True)
def _digits_parsed_once() -> Iterator[None]:
    """They are text, which takes longer than most of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "_digits", cache(data._digits))
        yield


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """5,000 real digits, 500 of each class, sorted by class."""
    return data.load("digits")
