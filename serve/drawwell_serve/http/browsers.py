"""What browsers say about the page that sends a request (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/)."""

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]


def site_of(headers: Headers) -> bytes:
    """Where the page is that sends this request: ``same-origin``, ``same-site`` or ``cross-site``.

    ``none`` for programs, and for links that a person follows, which are that person's wish; not for frames in a page.
    """
    told = dict(headers)
    is_followed = told.get(b"sec-fetch-mode") == b"navigate" and told.get(b"sec-fetch-dest", b"document") == b"document"
    return b"none" if is_followed else told.get(b"sec-fetch-site", b"none")
