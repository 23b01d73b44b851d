"""A real browser for the tests of the page."""

from collections.abc import Iterator

import pytest

from tests.serve.http.chromium import Chromium, chromium


@pytest.fixture(scope="module")
def window() -> Iterator[Chromium]:
    with chromium() as one:
        yield one


@pytest.fixture
def browser(window: Chromium) -> Iterator[Chromium]:
    """The window; an error on its console fails the test."""
    window.errors()
    yield window
    assert window.errors() == []
