"""Text that comes from elsewhere (a server, a file, a card, a variable), made fit to be shown."""

import re

MOST_CHARACTERS = 1000
"""Longer text says nothing more to a person, and fills a terminal or a log."""

_USER = re.compile(r"(?<=://)(?:[^/?#]*@|[^/?#@]*:(?!\d*(?:[/?#]|$))[^@]*@)")
"""``user:password@`` in a URL, also where the password has a slash, which makes it no URL."""


def printable(text: object, most: int = MOST_CHARACTERS) -> str:
    """``text`` as one line of at most ``most`` characters, each control character replaced.

    A terminal obeys control characters, and a line break makes a line of a log that nobody wrote. Passwords in URLs are hidden.
    """
    full = str(text)
    shown = without_password("".join(c if c.isprintable() else "\ufffd" for c in full[:most]))
    return shown if len(full) <= most else f"{shown}..."


def without_password(url: str) -> str:
    """``url`` with ``***`` in the place of its user and password."""
    return _USER.sub("***@", url)


def reason(error: Exception) -> str:
    """What went wrong, without the name of the file, which the sentence around it has."""
    return printable((error.strerror if isinstance(error, OSError) else None) or error or type(error).__name__)
