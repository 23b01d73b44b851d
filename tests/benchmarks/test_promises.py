"""The page of promises shows what the tests recorded, a figure a row, and names files that exist."""

import re

from benchmarks import promises


def test_the_page_shows_the_promises_and_their_figures() -> None:
    assert promises.table() in promises.PAGE.read_text(), "python -m benchmarks.promises"


def test_every_recorded_test_shows_a_figure() -> None:
    measured = {promise.name for promise in promises.promises() if promise.results()}
    assert measured == set(promises._FIGURES)


def test_every_file_that_the_page_links_exists() -> None:
    links = re.findall(r"\]\((\.\./[^)#]+)\)", promises.PAGE.read_text())
    assert links
    assert all((promises.PAGE.parent / link).is_file() for link in links)
