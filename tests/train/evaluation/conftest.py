"""What tests of the measures share."""

from collections.abc import Iterator
from functools import cache

import pytest
import torch

from drawwell_train.data import dataset as data
from drawwell_train.data.images import ImageData


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Also for the classifiers and generators that a whole module shares."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package", autouse=True)
def _digits_parsed_once() -> Iterator[None]:
    """They are text, which takes longer than most of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "_digits", cache(data._digits))
        yield


@pytest.fixture(scope="package")
def digits() -> ImageData:
    """5,000 real digits, 500 of each class, sorted by class."""
    return data.load("digits")
