"""``labels.csv`` in a folder of pictures: the class of each picture, instead of sub-folders.

A row is the path of a picture, relative to the folder, and its class. A first row ``file,class``, in any case, is a heading. Every
picture has a row, and every row a picture. Spaces around a path or a class are ignored, and letters are compared in composed form.
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
_NAMES_SHOWN = 3


def read_labels(file: Readable, names: Sequence[str]) -> list[str]:
    """The class of each of the pictures ``names``, paths relative to the folder. Raises ``DataError`` if the file does not say."""
    if not file.is_file():
        raise DataError(f"{file}: is not a file, or is a broken link")
    classes: dict[str, str] = {}
    for line, name, label in _rows(file):
        if classes.setdefault(_plain(name), label) != label:
            raise DataError(f"{file}: line {line} gives {name!r} a different class than an earlier line")
    pictures = [_plain(name) for name in names]
    if missing := [name for name in pictures if name not in classes]:
        raise DataError(f"{file}: has no class for {_some(missing)}")
    if strange := sorted(classes.keys() - set(pictures)):
        raise DataError(
            f"{file}: names files that are not pictures in its folder: {_some(strange)}; a heading must be file,class"
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
                            f"{file}: line {reader.line_num} must hold a picture and its class, for example cats/1.png,cat"
                        )
                    yield reader.line_num, cells[0], cells[1]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: is not CSV in UTF-8 ({error})") from error


def _plain(name: str) -> str:
    """Without a leading ``./``, so that one picture has one name."""
    return str(PurePosixPath(tidy(name)))


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_NAMES_SHOWN]))
    return shown if len(names) <= _NAMES_SHOWN else f"{shown} and {len(names) - _NAMES_SHOWN:,} more"
