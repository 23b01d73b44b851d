"""Folders of files beside a manifest, which holds the SHA-256 of each: what is not as it was written is not believed."""

import hashlib
import json
import shutil
from pathlib import Path

from drawwell_train.run import atomic_files as files

_NAME = "manifest.json"


def write_folder(folder: Path, contents: dict[str, bytes]) -> None:
    """Put the files and their manifest into ``folder``, in the place of what it held, and on the disk. Raises ``OSError``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in contents.items():
        files.write_to_disk(folder / name, content)
    files.write_to_disk(folder / _NAME, json.dumps(_sums(contents), indent=2).encode())
    files.sync_folder(folder)


def read(folder: Path, *names: str, known: set[str]) -> dict[str, bytes]:
    """Some files of a folder that was written with the files ``known``. Whatever it raises, the folder is damaged."""
    manifest = json.loads(files.read(folder / _NAME))
    if set(manifest) != known:
        raise ValueError(f"{_NAME} names other files than a checkpoint has")
    contents = {name: files.read(folder / name) for name in names}
    for name, sha256 in _sums(contents).items():
        if sha256 != manifest[name]:
            raise ValueError(f"the SHA-256 of {name} is not the manifest's")
    return contents


def _sums(contents: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
