"""HTML and SVG as trees. Text and attributes are escaped when a tree is written, so a name with markup in it stays a name."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

from drawwell.text import printable

Content = Element | str | None


def element(tag: str, *content: Content, **attributes: str | float) -> Element:
    """Return an element.

    Args:
        tag: its name.
        content: elements and texts; None adds nothing.
        attributes: ``class_`` is class, ``aria_label`` is aria-label.
    """
    made = Element(tag, {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()})
    for one in content:
        if isinstance(one, Element):
            made.append(one)
        elif one is not None and len(made):
            made[-1].tail = (made[-1].tail or "") + printable(one)
        elif one is not None:
            made.text = (made.text or "") + printable(one)
    return made


def live(tag: str, name: str, *content: Content, **attributes: str | float) -> Element:
    """Return an element that the page replaces when it has changed. ``name`` is its ``id``."""
    return element(tag, *content, id=name, data_live="", **attributes)


def row(cells: Iterable[Element]) -> Element:
    """Return a row of a table."""
    return element("tr", *cells)


def to_html(tree: Element) -> str:
    """Return the HTML of a tree."""
    return tostring(tree, encoding="unicode", method="html")
