"""Content negotiation."""

import pytest

from drawwell_serve.errors import ApiError
from drawwell_serve.http.accept import choose

PLAIN = "application/x-npy;footer=no"
OFFERED = ("application/json", "image/png", "application/x-npy", PLAIN)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("image/*", "image/png"),
        ("application/*", "application/json"),
        ("application/x-npy, application/json;q=0.5", "application/x-npy"),
        ("application/json;q=0.5, image/png;q=0.9", "image/png"),
        ("text/html, */*;q=0.1", "application/json"),
        ("*/*, application/json;q=0", "image/png"),
        ("text/html,application/xhtml+xml,image/webp,*/*;q=0.8", "application/json"),
        (PLAIN, PLAIN),
        ('Application/X-NPY ; Footer="no" ; q=0.5', PLAIN),
        (f"application/x-npy;q=0.5, {PLAIN}", PLAIN),
        (f"application/x-npy, {PLAIN};q=0.5", "application/x-npy"),
        ("application/x-npy;footer=yes", "application/x-npy"),
        ("application/x-npy;version=1.0;charset=binary", "application/x-npy"),
        ("image/png;footer=no", "image/png"),
        ("application/x-npy;q=0, application/x-npy;footer=no", PLAIN),
    ],
)
def test_the_best_liked_form_is_chosen(accept: str | None, chosen: str) -> None:
    assert choose(accept, OFFERED) == chosen


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/webp, text/*", f"{PLAIN};q=0"])
def test_nothing_acceptable_lists_what_there_is(accept: str) -> None:
    with pytest.raises(ApiError, match="application/json, image/png, application/x-npy") as error:
        choose(accept, OFFERED)
    assert error.value.status == 406


def test_a_malformed_quality_is_a_400() -> None:
    with pytest.raises(ApiError) as error:
        choose("image/png;q=high", OFFERED)
    assert error.value.status == 400


def test_a_long_list_costs_little_and_no_number_is_no_quality() -> None:
    assert choose(",".join(f"a/{n};q=0.1" for n in range(300)) + ",image/*", OFFERED) == "image/png"
    with pytest.raises(ApiError, match="'nan' is not a quality value"):
        choose("image/png;q=nan", OFFERED)
