"""The pictures in a .zip, as it would be unpacked; nothing is written to disk."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from drawwell.cores import cores
from drawwell_train import label_file
from drawwell_train.decode import SUFFIXES
from drawwell_train.found import Found, is_hidden, note_file
from drawwell_train.images import DataError, check_memory, check_unpacked

_ENCRYPTED = 0x1


@contextmanager
def opened(path: Path) -> Iterator[Found]:
    """All pictures in the archive, which can be read while it is open. One folder that holds all of it is no class.

    Raises ``DataError`` for a damaged archive, and for one that unpacks to more than pictures are, or than memory holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(path, archive)
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            largest = max((entry.file_size for entry in entries), default=0)
            check_memory(largest * cores(), f"{path}: the largest of its pictures, one for each core,")
            yield _found(zipfile.Path(archive), [entry.filename for entry in entries])
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise DataError(f"{path}: is no readable .zip ({error})") from error


def check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise ``DataError`` for members that lead out of the archive, that are encrypted, or that unpack to far more than they are."""
    for entry in archive.infolist():
        if entry.filename.startswith("/") or ".." in PurePosixPath(entry.filename).parts:
            raise DataError(f"{path}: holds {entry.filename!r}, a path that leads out of it")
        if entry.flag_bits & _ENCRYPTED:
            raise DataError(f"{path}: is encrypted: unpack it, and name the folder")
    check_unpacked(path.stat().st_size, sum(entry.file_size for entry in archive.infolist()), str(path))


def _found(root: zipfile.Path, members: list[str]) -> Found:
    visible = [name for name in members if not any(map(is_hidden, PurePosixPath(name).parts))]
    prefix = _common_folder(visible)
    found = Found()
    if prefix + label_file.NAME in visible:
        found.label_file = root / (prefix + label_file.NAME)
    for name in visible:
        inside = name.removeprefix(prefix)
        note_file(found, inside, root / name)
        found.folders |= set(PurePosixPath(inside).parts[:-1][:1])
    if hidden := len(members) - len(visible):
        found.left_out["hidden"] += hidden
    return found


def _common_folder(members: list[str]) -> str:
    """The folder that holds all pictures, with its slash, where it holds their classes too, as in an archive of a folder."""
    pictures = [name for name in members if PurePosixPath(name).suffix.lower() in SUFFIXES]
    folders = {name.partition("/")[0] + "/" for name in pictures}
    folder = folders.pop() if len(folders) == 1 else ""
    has_classes = folder + label_file.NAME in members or any(name.count("/") > 1 for name in pictures)
    return folder if has_classes else ""
