"""``labels.csv`` in a folder of pictures: the class of each, where sub-folders do not say it.

A row is the picture's path from the folder on, then its class; a first row ``file,class`` is a heading. Every picture has a
row, and every row a picture.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from drawwell_train.images import DataError

NAME = "labels.csv"
_HEADING = ["file", "class"]
_SHOWN = 3


def read_labels(folder: Path, files: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each of ``files``, which lie below ``folder``, with its class. Raises ``DataError`` where that cannot be told."""
    classes: dict[Path, str] = {}
    for line, name, label in _rows(folder / NAME):
        if classes.setdefault(folder / name, label) != label:
            raise DataError(f"{folder / NAME}: line {line} gives {name!r} another class than a line before")
    if missing := [file for file in files if file not in classes]:
        raise DataError(f"{folder / NAME}: has no class for {_some(missing, folder)}")
    if strange := sorted(classes.keys() - set(files)):
        raise DataError(
            f"{folder / NAME}: names what is no picture in {folder}: {_some(strange, folder)}; a heading must be file,class"
        )
    return [(file, classes[file]) for file in files]


def _rows(file: Path) -> Iterator[tuple[int, str, str]]:
    """Line, path and class of each row."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for row in reader:
                if row and not (reader.line_num == 1 and row == _HEADING):
                    if len(row) != len(_HEADING) or not all(row):
                        raise DataError(
                            f"{file}: line {reader.line_num} must be a picture and its class, as in cats/1.png,cat"
                        )
                    yield reader.line_num, row[0], row[1]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: is no CSV in UTF-8 ({error})") from error


def _some(files: Sequence[Path], folder: Path) -> str:
    inside = (file.relative_to(folder) if file.is_relative_to(folder) else file for file in files[:_SHOWN])
    shown = ", ".join(repr(str(file)) for file in inside)
    return shown if len(files) <= _SHOWN else f"{shown} and {len(files) - _SHOWN:,} more"
