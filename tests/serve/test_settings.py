"""Every setting is described once, and the help and the documentation show that description."""

import dataclasses
import os
import re
from pathlib import Path

import pytest

from docs.scripts import settings_page
from drawwell_serve.settings import Settings, option_of
from tests.conftest import drawwell


def test_the_table_in_the_documentation_is_up_to_date() -> None:
    assert settings_page.table() in settings_page.PAGE.read_text(), "run: python -m docs.scripts.settings_page"


def test_the_table_is_written_between_the_marks_only(tmp_path: Path) -> None:
    page, begin, end = (
        tmp_path / "page.md",
        "<!-- settings: from serve/drawwell_serve/settings.py -->\n",
        "<!-- end settings -->",
    )
    page.write_text(f"before\n{begin}| old |\n{end}\nafter\n")
    settings_page.write(page)
    assert page.read_text() == f"before\n{begin}{settings_page.table()}{end}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="not exactly one section"):
        settings_page.write(page)


def test_every_setting_has_a_row_with_its_option_its_variable_and_its_default() -> None:
    rows = [row.split(" | ") for row in settings_page.table().splitlines()[2:]]
    fields = dataclasses.fields(Settings)
    assert [variable.strip("`") for _, variable, *_ in rows] == [field.metadata["variable"] for field in fields]
    for field, (_, _, default, *_) in zip(fields, rows, strict=True):
        value = getattr(Settings(), field.name)
        if not field.metadata["default_in_words"]:
            assert default == (f"`{value:.10g}`" if isinstance(value, int | float) else f"`{value}`")


def test_the_help_says_the_same_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DRAWWELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "300")
    shown = re.sub(r"[\s│]+", " ", drawwell("serve", "--help").stdout)
    for field in dataclasses.fields(Settings):
        assert f"{field.metadata['sentence']} [{field.metadata['variable']}]" in shown
        if field.name not in ("generator", "log_requests"):
            assert f" {option_of(field.name)} " in shown
    assert "None" not in shown, "a default is said in words"


def test_a_variable_is_named_after_its_field() -> None:
    for field in dataclasses.fields(Settings):
        assert field.metadata["variable"] == f"DRAWWELL_{field.name.upper()}"
