"""``labels.csv`` in a folder of pictures: the class of each, where sub-folders do not say it.

A row is the picture's path from the folder on, then its class; a first row ``file,class``, in any case, is a heading. Every picture has a
row, and every row a picture. Spaces around a path or a class mean nothing, and composed letters are those that they are made of.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from drawwell_train.data.classes import tidy
from drawwell_train.data.decode import Readable
from drawwell_train.data.images import DataError

NAME = "labels.csv"
_HEADING = ["file", "class"]
_SHOWN = 3


def read_labels(file: Readable, names: Sequence[str]) -> list[str]:
    """The class of each picture, by its path from the folder on. Raises ``DataError`` where that cannot be told."""
    if not file.is_file():
        raise DataError(f"{file}: is no file, or a link that leads to none")
    classes: dict[str, str] = {}
    for line, name, label in _rows(file):
        if classes.setdefault(_plain(name), label) != label:
            raise DataError(f"{file}: line {line} gives {name!r} another class than a line before")
    pictures = [_plain(name) for name in names]
    if missing := [name for name in pictures if name not in classes]:
        raise DataError(f"{file}: has no class for {_some(missing)}")
    if strange := sorted(classes.keys() - set(pictures)):
        raise DataError(
            f"{file}: names what is no picture in its folder: {_some(strange)}; a heading must be file,class"
        )
    return [classes[name] for name in pictures]


def _rows(file: Readable) -> Iterator[tuple[int, str, str]]:
    """Line, path and class of each row."""
    try:
        with file.open("rb") as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True, skipinitialspace=True)
            for row in reader:
                cells = [tidy(cell) for cell in row]
                if row and not (reader.line_num == 1 and [cell.lower() for cell in cells] == _HEADING):
                    if len(cells) != len(_HEADING) or not all(cells):
                        raise DataError(
                            f"{file}: line {reader.line_num} must be a picture and its class, as in cats/1.png,cat"
                        )
                    yield reader.line_num, cells[0], cells[1]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: is no CSV in UTF-8 ({error})") from error


def _plain(name: str) -> str:
    """Without a leading ``./``, so that one picture has one name."""
    return str(PurePosixPath(tidy(name)))


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
