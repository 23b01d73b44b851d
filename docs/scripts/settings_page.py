"""The table of docs/reference/settings.md, written from ``settings.py``: ``python -m docs.scripts.settings_page``."""

import dataclasses
from pathlib import Path

from benchmarks.pages import ROOT, replace_section
from drawwell_serve.settings import Settings, option_of

PAGE = ROOT / "docs" / "reference" / "settings.md"


def table() -> str:
    """The settings as a Markdown table: option, variable, default, unit and meaning."""
    rows = [_row(field) for field in dataclasses.fields(Settings)]
    return "\n".join(["| option | variable | default | unit | meaning |", "|---|---|---|---|---|", *rows]) + "\n"


def write(page: Path = PAGE) -> None:
    """Write the table between the two marks of ``page``. Raises ``ValueError`` unless it has each mark once."""
    replace_section(page, "settings", "serve/drawwell_serve/settings.py", table())


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


if __name__ == "__main__":
    write()
