"""How values of options are read, and the sentences for those that cannot be read.

tyro would speak of Python's types: ``invalid literal for int() with base 10``, ``no type matching {None}|{INT}``.
"""

import dataclasses
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

import tyro
from tyro.constructors import PrimitiveConstructorSpec, PrimitiveTypeInfo, UnsupportedTypeAnnotationError

from drawwell.text import printable

Number = int | float
_KINDS: dict[type, str] = {int: "an integer", float: "a number"}

REGISTRY = tyro.constructors.ConstructorRegistry()


def read_number(kind: Callable[[str], Number], text: str) -> Number:
    """Return the number that ``text`` writes. Raises ``ValueError`` with a sentence."""
    try:
        return kind(text)
    except ValueError:
        hint = f": write {text.replace(',', '')}" if text.replace(",", "").isdecimal() else ""
        raise ValueError(f"{printable(text)!r} is not {_KINDS[kind]}{hint}") from None  # type: ignore[index]


@REGISTRY.primitive_rule
def _number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    kind = info.type
    if kind not in _KINDS:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=lambda texts: read_number(kind, texts[0]),
        is_instance=lambda value: isinstance(value, int if kind is int else int | float),
        str_from_instance=lambda value: [str(value)],
    )


@REGISTRY.primitive_rule
def _numbers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    kind = get_args(info.type)[0] if get_origin(info.type) is tuple else None
    if kind not in _KINDS or tyro.conf.UseAppendAction in info.markers:
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{kind.__name__.upper()} ...",
        instance_from_str=lambda texts: tuple(_one_of_several(kind, text) for text in texts),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda values: list(map(str, values)),
    )


def _one_of_several(kind: type, text: str) -> Number:
    parts = text.split(",")
    if len(parts) > 1 and all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"{printable(text)!r}: separate the numbers by spaces: {' '.join(map(str.strip, parts))}")
    return read_number(kind, text)


@REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> "PrimitiveConstructorSpec[Any] | UnsupportedTypeAnnotationError | None":
    """``X | None`` is read as X: nobody writes None, which is the default."""
    others = [kind for kind in get_args(info.type) if kind is not type(None)]
    if get_origin(info.type) not in (Union, types.UnionType) or len(others) != 1:
        return None
    inner = tyro.constructors.ConstructorRegistry.get_primitive_spec(
        PrimitiveTypeInfo.make(raw_annotation=others[0], parent_markers=info.markers)
    )
    if not isinstance(inner, PrimitiveConstructorSpec):
        return inner
    known, written = inner.is_instance, inner.str_from_instance
    return dataclasses.replace(
        inner,
        is_instance=lambda value: value is None or known(value),
        str_from_instance=lambda value: [] if value is None else written(value),
    )


@REGISTRY.primitive_rule
def _number_or_word(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """``int | Literal["best"]``."""
    kinds = get_args(info.type)
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    if int not in kinds or not words:
        return None

    def read(texts: list[str]) -> int | str:
        text = texts[0]
        if text in words:
            return text
        if text.isdecimal():
            return int(text)
        raise ValueError(f"{printable(text)!r} is neither a number nor {' nor '.join(map(repr, words))}")

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, int | str),
        str_from_instance=lambda value: [str(value)],
    )
