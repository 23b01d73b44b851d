"""The pictures in a .zip. Nothing is unpacked to disk."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from drawwell.engine.cores import cores
from drawwell.formats.pictures import SUFFIXES
from drawwell_train.data import label_file
from drawwell_train.data.found import Found, is_hidden, is_hidden_folder, note_file
from drawwell_train.data.images import DataError, check_memory, check_unpacked

_ENCRYPTED = 0x1


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    path: str
    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    def is_file(self) -> bool:
        return True

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:  # noqa: ARG002  # archives have no other
        return self.archive.open(self.entry)

    def __str__(self) -> str:
        return f"{self.archive.filename}/{self.path}"


@contextmanager
def opened(path: Path) -> Iterator[Found]:
    """All pictures in the archive, readable while it is open. A single folder around everything is not a class.

    Raises ``DataError`` for a damaged archive, and for one that unpacks to more than pictures do or than memory holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(path, archive)
            largest = max((entry.file_size for entry in archive.infolist()), default=0)
            check_memory(largest * cores(), f"{path}: the largest of its pictures, one for each core,")
            yield _found(_files(archive))
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise DataError(f"{path}: is not a readable .zip ({error})") from error


def check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise ``DataError`` for members with a path outside the archive, for encrypted ones, and for zip bombs."""
    for entry in archive.infolist():
        if _slashed(entry).startswith("/") or ".." in PurePosixPath(_slashed(entry)).parts:
            raise DataError(f"{path}: holds {entry.filename!r}, a path outside the archive")
        if entry.flag_bits & _ENCRYPTED:
            raise DataError(f"{path}: is encrypted: unpack it and name the folder")
    check_unpacked(path.stat().st_size, sum(entry.file_size for entry in archive.infolist()), str(path))


def _slashed(entry: zipfile.ZipInfo) -> str:
    """The path of a member with slashes; archives made on Windows may have backslashes."""
    return entry.filename.replace("\\", "/")


def _files(archive: zipfile.ZipFile) -> dict[str, _Member]:
    """Members by normalised path, without ``./`` and double slashes. Of members with the same path the last counts, as when unpacking."""
    files = {}
    for entry in archive.infolist():
        if not _slashed(entry).endswith("/"):
            path = str(PurePosixPath(_slashed(entry)))
            files[path] = _Member(path, archive, entry)
    return files


def _found(files: dict[str, _Member]) -> Found:
    visible = [name for name in files if not _is_hidden(name)]
    prefix = _common_folder(visible)
    found = Found(label_file=files.get(prefix + label_file.NAME))
    for name in visible:
        inside = name.removeprefix(prefix)
        note_file(found, inside, files[name])
        found.folders |= set(PurePosixPath(inside).parts[:-1][:1])
    if hidden := len(files) - len(visible):
        found.left_out["hidden"] += hidden
    return found


def _is_hidden(path: str) -> bool:
    *folders, name = path.split("/")
    return is_hidden(name) or any(map(is_hidden_folder, folders))


def _common_folder(members: list[str]) -> str:
    """The folder around all pictures and their classes, with its slash, as in an archive of a folder; else empty."""
    pictures = [name for name in members if PurePosixPath(name).suffix.lower() in SUFFIXES]
    folders = {name.partition("/")[0] + "/" for name in pictures}
    folder = folders.pop() if len(folders) == 1 else ""
    has_classes = folder + label_file.NAME in members or any(name.count("/") > 1 for name in pictures)
    return folder if has_classes else ""
