"""Text from a server, a file, a card or a variable, made safe to show."""

import re

MOST_CHARACTERS = 1000
"""Longer text helps nobody, and fills a terminal or a log."""

_USER = re.compile(
    r"(?:(?<=//)|(?<=:[/\\]))(?:[^/?#]*@|[^/?#@]*:(?!\d*(?:[/?#]|$))[^@]*@)"
    r"|^\s*[^\s/?#@]+:(?![\s/\\]|\d+(?:[/?#]|$))(?:(?!:\s)[^@])*@"
)
"""``user:password@`` in a URL, also where it lacks its ``http://`` or a part of it, or where the password has a slash."""


def printable(text: object, most: int = MOST_CHARACTERS) -> str:
    """Return ``text`` as one line of at most ``most`` characters, each control character replaced.

    A terminal obeys control characters, and a line break makes a line of a log that nobody wrote. Passwords in URLs are hidden.
    """
    full = without_password(str(text))  # before it is cut, since a part of a password looks like no password
    shown = "".join(c if c.isprintable() else "\ufffd" for c in full[:most])
    return shown if len(full) <= most else f"{shown}..."


def without_password(url: str) -> str:
    """Return ``url`` with ``***`` in place of user and password."""
    before, at, after = url.rpartition("@")  # no search for an @ where there is none: it takes a square of the length
    return _USER.sub("***@", before + at) + after


def reason(error: Exception) -> str:
    """Return what went wrong, without the file name, which the sentence around it has."""
    return printable((error.strerror if isinstance(error, OSError) else None) or error or type(error).__name__)
