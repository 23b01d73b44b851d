"""The pages that show measured figures, and the one way a figure gets into them: between two marks, from its file."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "docs" / "reports"


def replace_section(page: Path, name: str, source: str, text: str) -> None:
    """Replace what ``page`` holds between ``<!-- NAME: from SOURCE -->`` and ``<!-- end NAME -->`` by ``text``.

    ``text`` ends with a line break. Raises ``ValueError`` where the page has not exactly one such section.
    """
    begin, end = f"<!-- {name}: from {source} -->\n", f"<!-- end {name} -->"
    content = page.read_text()
    if content.count(begin) != 1 or content.count(end) != 1:
        raise ValueError(f"{page}: has not exactly one section between {begin.strip()} and {end}")
    before, rest = content.split(begin)
    page.write_text(before + begin + text + end + rest.split(end)[1])
