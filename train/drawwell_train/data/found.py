"""The content of a folder or an archive: pictures, a file of their classes if there is one, and counts of the files left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from drawwell.formats.pictures import SUFFIXES
from drawwell_train.data import label_file
from drawwell_train.data.classes import some
from drawwell_train.data.decode import Readable

_SYSTEM, _SYSTEM_SIGNS = {"system volume information", "__macosx", "lost+found"}, ("@", "#", "$")
"""Folders that operating systems and network disks make, in small letters, and how others begin, as @eaDir and $RECYCLE.BIN do; they
hold thumbnails and what was thrown away.
"""
_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}
_LONGEST_ENDING = 10
_NAMES_SHOWN = 8


@dataclass
class Found:
    """Pictures by name: the path relative to the folder, with slashes."""

    pictures: dict[str, Readable] = field(default_factory=dict)
    label_file: Readable | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    """Number of files by ending, or by another kind in words."""
    folders_left_out: Counter[str] = field(default_factory=Counter)
    """Number of folders by name."""
    folders: set[str] = field(default_factory=set)
    """The top-level folders: each should be a class."""

    @property
    def names(self) -> list[str]:
        """Names of all pictures, in the order of the images."""
        return sorted(self.pictures, key=lambda name: name.split("/"))

    def remarks(self) -> tuple[str, ...]:
        """Sentences about files left out, folders without pictures, and folders that look like parts of a data set."""
        return tuple(filter(None, (self._about_left_out(), self._about_folders(), self._about_splits())))

    def _about_left_out(self) -> str:
        counts = self.left_out + Counter(
            {f"folder{'s' * (count > 1)} {name!r}": count for name, count in self.folders_left_out.items()}
        )
        if not counts:
            return ""
        kinds = [f"{count:,} {kind}" for kind, count in counts.most_common(_NAMES_SHOWN)]
        more = len(counts) - _NAMES_SHOWN
        return f"left out: {', '.join(kinds)}" + (f" and {more:,} other kinds" if more > 0 else "")

    def _about_folders(self) -> str:
        empty = sorted(self.folders - set(class_folders(list(self.pictures))))
        return f"no pictures in {len(empty):,} of the folders: {some(list(map(repr, empty)))}" if empty else ""

    def _about_splits(self) -> str:
        first = sorted(set(class_folders(list(self.pictures))))
        deep = any(name.count("/") > 1 for name in self.pictures)
        if self.label_file or not deep or not {name.lower() for name in first} <= _SPLITS:
            return ""
        names = ", ".join(map(repr, first))
        return (
            f"used as classes: {names}. They look like parts of a data set, with the classes one level below. To learn those, name one "
            "part as the data (unpack a .zip first)"
        )


def is_hidden(name: str) -> bool:
    """Whether a file or a folder is hidden by its name."""
    return name.startswith(".")


def is_hidden_folder(name: str) -> bool:
    """Whether a folder belongs to a program or the system, for example ``__pycache__``."""
    dunder = len(name) > 4 and name.startswith("__") and name.endswith("__")
    return is_hidden(name) or name.startswith(_SYSTEM_SIGNS) or dunder or name.lower() in _SYSTEM


def note_file(found: Found, name: str, file: Readable) -> None:
    """Note a picture, known by its ending, or count the file as left out."""
    last = PurePosixPath(name).name
    ending = PurePosixPath(name).suffix.lower()
    if is_hidden(last):
        found.left_out["hidden"] += 1
    elif ending in SUFFIXES:
        found.pictures[name] = file
    elif name != label_file.NAME:
        found.left_out[_kind(ending)] += 1


def class_folders(names: Sequence[str]) -> list[str]:
    """The top-level folder of each picture, empty for a picture outside all folders."""
    return [name.partition("/")[0] if "/" in name else "" for name in names]


def _kind(ending: str) -> str:
    if not ending:
        return "without ending"
    return ending if ending.isprintable() and len(ending) <= _LONGEST_ENDING else "of other endings"
