"""What may be shown of text from elsewhere."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawwell.text import printable, without_password
from drawwell_serve.drawing.image_service import ImageService
from tests import graphs


@given(st.text(st.characters(exclude_categories=())), st.integers(1, 50))
def test_anything_is_one_line_of_bounded_length(text: str, most: int) -> None:
    shown = printable(text, most)
    assert shown.isprintable()
    assert len(shown) <= most + len("...")


@given(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=100).filter(
        lambda one: "@" not in one
    )
)
def test_names_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:hush@host:3000/path", "http://***@host:3000/path"),
        ("at http://hush@host, and HTTPS://a:b@c", "at http://***@host, and HTTPS://***@c"),
        ("http://user:h@u@sh@host", "http://***@host"),
        ("http://user:hu/sh@host", "http://***@host"),
        ("socks5://user:hush@[::1]:1080", "socks5://***@[::1]:1080"),
        ("http://host/a@b", "http://host/a@b"),
        ("http://host:3000/a@b", "http://host:3000/a@b"),
        ("http://host:3000?mail=a@b", "http://host:3000?mail=a@b"),
        ("mail a@b", "mail a@b"),
        ("user:hush@host:8000", "***@host:8000"),
        ("user:hu/s h@host:8000", "***@host:8000"),
        ("user:1234@host", "***@host"),
        ("http:user:hush@host", "***@host"),
        ("http:/user:hush@host", "http:/***@host"),
        ("http:/user:hu/sh@host", "http:/***@host"),
        ("http:///user:hush@host", "http:///***@host"),
        ("http:\\\\user:hush@host", "***@host"),
        ("http:\\\\hush@host", "http:\\***@host"),
        ("//user:hush@evil/x", "//***@evil/x"),
        ("host:3000: no mail a@b", "host:3000: no mail a@b"),
        ("host:3000/a@b", "host:3000/a@b"),
        ("ValueError: mail a@b", "ValueError: mail a@b"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize("most", range(9, 19))
def test_the_beginning_of_a_password_is_hidden(most: int) -> None:
    """Where text is cut within it."""
    assert "hu" not in printable("http://u:hush_hush@host", most)


@pytest.mark.parametrize("piece", ["//a:b", ":/a:b", ":\\a:b", ":\\?", "//", "a:", ":1"])
@pytest.mark.parametrize("end", ["", "@", "?@", "@ end"])
def test_long_text_is_searched_for_passwords_once(piece: str, end: str) -> None:
    """An error page of 64 KiB; a search in the square of the length takes minutes."""
    begin = time.monotonic()
    printable(piece * 2**14 + end)
    assert time.monotonic() - begin < 5


def test_the_server_names_a_generator_in_one_line() -> None:
    """Its card may come from anywhere: a line break in it would make a line of the log that the server did not write."""

    class Engine:
        card = graphs.card(name="x\nERROR forged\x1b[2J" + "y" * 100_000)
        digest, provider, threads = "0" * 64, "cpu", 1

    service = object.__new__(ImageService)
    service.engine, service.has_key = Engine(), False  # type: ignore[assignment]
    assert service.in_words().isprintable()
    assert len(service.in_words()) < 2000
