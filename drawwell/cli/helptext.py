"""The help texts of options: docstrings of fields, each as one paragraph."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from types import MappingProxyType


def use_docstrings(kind: type) -> None:
    """Set ``metadata["help"]``, which tyro shows, of each field of a dataclass from the docstring below the field.

    tyro finds the docstrings itself, but breaks the help text wherever the source breaks a line.
    """
    for owner in reversed(kind.__mro__):
        if dataclasses.is_dataclass(owner):
            for name, text in _docstrings(owner):
                field = kind.__dict__["__dataclass_fields__"][name]
                field.metadata = MappingProxyType({**field.metadata, "help": text})


def _docstrings(kind: type) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef), "it is the source of a class"
    for field, below in pairwise(definition.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
