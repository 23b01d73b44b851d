"""The table of settings in the documentation, made from ``settings.py``: `python -m drawwell_serve.settings_table`."""

import dataclasses
import sys
from pathlib import Path

from drawwell_serve.settings import Settings, option_of

PAGE = Path("docs", "reference", "settings.md")
BEGIN, END = "<!-- settings: from serve/drawwell_serve/settings.py -->\n", "<!-- end settings -->"


def table() -> str:
    """The settings as a Markdown table: option, variable, default, unit and meaning."""
    rows = [_row(field) for field in dataclasses.fields(Settings)]
    return "\n".join(["| option | variable | default | unit | meaning |", "|---|---|---|---|---|", *rows]) + "\n"


def replace_table(content: str) -> str:
    """``content`` with the current table between the two marks. Raises ``ValueError`` unless it has each mark once."""
    if content.count(BEGIN) != 1 or content.count(END) != 1:
        raise ValueError(f"the page must have {BEGIN.strip()} and {END} once each")
    before, rest = content.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def _row(field: "dataclasses.Field[object]") -> str:
    about, default = field.metadata, field.metadata["default"]
    option = "GENERATOR" if field.name == "generator" else option_of(field.name)
    if default is True:
        option = option.replace("--", "--no-", 1)
    shown = f"`{default:.10g}`" if isinstance(default, int | float) else f"`{default}`"
    cells = (
        f"`{option}`",
        f"`{about['variable']}`",
        about["default_in_words"] or shown,
        about["unit"],
        about["sentence"],
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the table into the page that is the first argument, by default docs/reference/settings.md."""
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    page.write_text(replace_table(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
