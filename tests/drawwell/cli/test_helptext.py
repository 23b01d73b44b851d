"""Help texts are paragraphs, whatever the line breaks of the source."""

from dataclasses import dataclass, fields

from drawwell.cli.helptext import use_docstrings


@dataclass
class Base:
    first: int = 0
    """One line."""


@dataclass
class Options(Base):
    second: int = 0
    """A sentence that
    goes on."""
    third: int = 0


def test_a_docstring_of_several_lines_is_one_paragraph_of_help() -> None:
    use_docstrings(Options)
    helps = {field.name: field.metadata.get("help") for field in fields(Options)}
    assert helps == {"first": "One line.", "second": "A sentence that goes on.", "third": None}
