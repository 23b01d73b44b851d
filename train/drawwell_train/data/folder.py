"""The pictures in a folder and below it, and what is left out of it."""

import os
from collections.abc import Iterator
from pathlib import Path

from drawwell_train.data import label_file
from drawwell_train.data.found import Found, is_hidden_folder, note_file


def find(folder: Path) -> Found:
    """All pictures below ``folder``. Hidden folders are left out. A link to a folder is followed unless that folder was read already."""
    found = Found(label_file=_label_file(folder))
    read: set[str] = set()
    links = _walk(folder, folder, found, read)
    while links:
        link = links.pop(0)
        target = os.path.realpath(link)
        if target in read or Path(os.path.realpath(folder)).is_relative_to(target):
            found.left_out[f"link to a folder that is read already ({link.relative_to(folder).as_posix()!r})"] += 1
        else:
            links += _walk(folder, link, found, read)
    return found


def _walk(root: Path, top: Path, found: Found, read: set[str]) -> list[Path]:
    """Note the files below ``top``. Returns the links to folders, which may form circles."""
    links: list[Path] = []
    for directory, sub_folders, names in os.walk(top, onerror=_raise):
        here = Path(directory)
        read.add(os.path.realpath(here))
        if here != root:
            found.folders.add(here.relative_to(root).parts[0])
        sub_folders[:] = sorted(_followed(here, sub_folders, found, read, links))
        for name in names:
            file = here / name
            note_file(found, file.relative_to(root).as_posix(), file)
    return links


def _followed(here: Path, names: list[str], found: Found, read: set[str], links: list[Path]) -> Iterator[str]:
    """The sub-folders to walk: real ones, not hidden, not read before through a link."""
    for name in sorted(names):
        if is_hidden_folder(name):
            found.folders_left_out[name] += 1
        elif (here / name).is_symlink():
            links.append(here / name)
        elif os.path.realpath(here / name) not in read:
            yield name


def _label_file(folder: Path) -> Path | None:
    """labels.csv if it exists, even as a broken link, which is then an error and not ignored."""
    file = folder / label_file.NAME
    return file if os.path.lexists(file) else None


def _raise(error: OSError) -> None:
    raise error
