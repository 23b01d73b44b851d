"""Fetch Metadata: the headers in which browsers name the site of the page that sends a request (https://www.w3.org/TR/fetch-metadata/)."""

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]


def site_of(headers: Headers) -> bytes:
    """The site of the page that sends this request: ``same-origin``, ``same-site`` or ``cross-site``.

    ``none`` for programs, and for a link that a person follows. A frame in a page is no such link.
    """
    fields = dict(headers)
    is_followed = (
        fields.get(b"sec-fetch-mode") == b"navigate" and fields.get(b"sec-fetch-dest", b"document") == b"document"
    )
    return b"none" if is_followed else fields.get(b"sec-fetch-site", b"none")
