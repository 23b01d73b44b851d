"""docs/architecture.svg, drawn by Graphviz from ``architecture.dot``: ``python -m docs.scripts.architecture``."""

import hashlib
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("architecture.dot")
PICTURE = SOURCE.parents[1] / "architecture.svg"


def mark() -> str:
    """The comment at the end of the picture that names the source it was drawn from."""
    return f"<!-- architecture.dot, SHA-256 {hashlib.sha256(SOURCE.read_bytes()).hexdigest()} -->\n"


def main() -> None:
    """Draw the picture. Raises ``FileNotFoundError`` where Graphviz is not installed."""
    svg = subprocess.run(["neato", "-n2", "-Tsvg", str(SOURCE)], check=True, capture_output=True, text=True).stdout
    PICTURE.write_text(svg + mark())


if __name__ == "__main__":
    main()
