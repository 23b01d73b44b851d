"""Checkpoints on disk: whole or not there at all, and checked before they are believed.

A checkpoint is a folder ``step-00001000`` with ``tensors.safetensors``, ``state.json`` (the format, the step, the resolved
configuration with the whole preset, the KID where it was measured, the versions) and ``manifest.json`` (the SHA-256 of the other two). No
pickle is ever read.
"""

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from drawwell import atomic_files
from drawwell.atomic_files import WriteError
from drawwell.errors import DrawwellError
from drawwell_train.config import TrainConfig
from drawwell_train.data import memory
from drawwell_train.run.checkpoint_format import FORMAT, FormatError, read_config
from drawwell_train.run.identity import to_dict

_TENSORS, _STATE, _MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_PREFIX, _TEMPORARY, _DROPPED = "step-", ".writing-", ".dropped-"

Step = int | Literal["best"] | None
"""A number of steps, the checkpoint of the least KID, or the last."""

Say = Callable[[str], None]
"""Takes a sentence for the user."""

_NOT_WHOLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, SafetensorError)
"""What reading rubbish raises."""


class CheckpointError(DrawwellError):
    """A checkpoint is missing or damaged; the message says which."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of ``state.to_tensors`` after ``step`` steps of ``config``, and how far from the data their images are."""

    step: int
    config: TrainConfig
    tensors: dict[str, Tensor]
    kid: float | None = None


def save(folder: Path, checkpoint: Checkpoint, keep: int, say: Say = warnings.warn) -> Path:
    """Write the checkpoint below ``folder`` and drop all but the newest ``keep`` and the best; a crash leaves the earlier ones as
    they were. A better one that is damaged is named to ``say``.

    Raises ``WriteError``, with nothing left of what was begun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{_PREFIX}{checkpoint.step:08d}"
    temporary = folder / f"{_TEMPORARY}{target.name}"
    state = {
        "format": FORMAT,
        "step": checkpoint.step,
        "config": to_dict(checkpoint.config),
        "torch": torch.__version__,
    }
    state |= {} if checkpoint.kid is None else {"kid": checkpoint.kid}
    contents = {
        _TENSORS: safetensors.torch.save(checkpoint.tensors),
        _STATE: json.dumps(state, indent=2).encode(),
    }
    try:
        write_folder(temporary, contents)
        temporary.rename(target)
        atomic_files.sync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        size = sum(map(len, contents.values()))
        raise WriteError(target, size, error, "; the checkpoint before it is whole") from error
    _drop_old(folder, keep, say)
    return target


def load(path: Path) -> Checkpoint:
    """Read one checkpoint. Raises ``CheckpointError`` unless every byte is as it was written, ``FormatError`` where another version
    of drawwell wrote it.
    """
    with _whole(path):
        contents = _read(path, _TENSORS, _STATE)
        state = json.loads(contents[_STATE])
        if f"{_PREFIX}{state['step']:08d}" != path.name:
            raise CheckpointError(f"{path}: is of step {state['step']:,}, and was renamed")
        tensors = safetensors.torch.load(contents[_TENSORS])
        return Checkpoint(state["step"], read_config(state), tensors, state.get("kid"))


def load_latest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint, or None where there is none yet; and a sentence for each damaged one passed over.

    Raises ``CheckpointError`` where there are checkpoints and all are damaged: to start anew would throw the run away; and
    ``FormatError`` where another version of drawwell wrote the newest whole one.
    """
    damaged: list[str] = []
    for _, path in _steps(folder):
        try:
            return load(path), damaged
        except CheckpointError as error:
            damaged.append(str(error))
    if damaged:
        raise CheckpointError("\n".join(["every checkpoint of this run is damaged:", *damaged]))
    return None, []


def newest_config(folder: Path) -> TrainConfig | None:
    """The configuration of the newest checkpoint in which it is whole, or None where there is none. No tensor is read for it.

    Raises ``FormatError`` where another version of drawwell wrote it.
    """
    for _, path in _steps(folder):
        try:
            with _whole(path):
                return read_config(json.loads(_read(path, _STATE)[_STATE]))
        except CheckpointError:
            continue  # the run is continued from the one before, and says so
    return None


def load_best(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The whole checkpoint of the least KID, of several the newest, or None; and a sentence for each damaged one passed over."""
    measured, damaged = [], list[str]()
    for step, path in _steps(folder):
        try:
            if (kid := _kid(path)) is not None:
                measured.append((kid, -step, path))
        except CheckpointError as error:
            damaged.append(str(error))
    for *_, path in sorted(measured):
        try:
            return load(path), damaged
        except CheckpointError as error:
            damaged.append(str(error))
    return None, damaged


def find(run: Path, step: Step) -> tuple[Checkpoint, list[str]]:
    """The checkpoint of a run folder at ``step``; or the newest or the best whole one, with a sentence for each passed over."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        raise CheckpointError(f"{run}: is no run folder of drawwell train")
    if step == "best":
        return _found(load_best(folder), f"{run}: has no checkpoint whose KID was measured, so none is the best")
    steps = [number for number, _ in _steps(folder)]
    if step is not None and step not in steps:
        raise CheckpointError(
            f"{run}: has no checkpoint of step {step}; there are {', '.join(map(str, steps)) or 'none'}"
        )
    if step is not None:
        return load(folder / f"{_PREFIX}{step:08d}"), []
    return _found(load_latest(folder), f"{run}: has no checkpoint yet")


def _found(loaded: tuple[Checkpoint | None, list[str]], none: str) -> tuple[Checkpoint, list[str]]:
    found, damaged = loaded
    if found is None:
        raise CheckpointError("\n".join([none, *damaged]))
    return found, damaged


def discard_after(folder: Path, step: int) -> None:
    """Remove what a crash left half written and the checkpoints past ``step``, which the run is about to write anew."""
    for leftover in (*folder.glob(f"{_TEMPORARY}*"), *folder.glob(f"{_DROPPED}*")):
        shutil.rmtree(leftover)
    for number, path in _steps(folder):
        if number > step:
            _drop(path)


def _steps(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints below ``folder``, newest first, by their number and never by a file's time."""

    def numbered() -> Iterator[tuple[int, Path]]:
        for path in folder.glob(f"{_PREFIX}*"):
            number = path.name.removeprefix(_PREFIX)
            if number.isdecimal():
                yield int(number), path

    return sorted(numbered(), reverse=True)


def write_folder(folder: Path, contents: dict[str, bytes]) -> None:
    """Write files, and a manifest with the SHA-256 of each, into ``folder`` in place of its content, and return when the disk has
    them. Raises ``OSError``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in contents.items():
        atomic_files.write_new(folder / name, content)
    atomic_files.write_new(folder / _MANIFEST, json.dumps(_sums(contents), indent=2).encode())
    atomic_files.sync_folder(folder)


def _read(folder: Path, *names: str) -> dict[str, bytes]:
    """Files of a checkpoint by name, each checked against the manifest. Any exception means that the checkpoint is damaged."""
    manifest = json.loads(atomic_files.read(folder / _MANIFEST, memory.free()))
    if set(manifest) != {_TENSORS, _STATE}:
        raise ValueError(f"{_MANIFEST} does not name the files of a checkpoint")
    contents = {name: atomic_files.read(folder / name, memory.free()) for name in names}
    for name, sha256 in _sums(contents).items():
        if sha256 != manifest[name]:
            raise ValueError(f"the SHA-256 of {name} differs from the one in {_MANIFEST}")
    return contents


def _sums(contents: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def _drop_old(folder: Path, keep: int, say: Say) -> None:
    steps = _steps(folder)
    if len(steps) <= keep:
        return
    best, damaged = load_best(folder)
    for sentence in damaged:
        say(sentence)
    for step, path in steps[keep:]:
        if best is None or step != best.step:
            _drop(path)


def _drop(path: Path) -> None:
    """Remove a checkpoint, of which a crash must not leave half under its name."""
    shutil.rmtree(path.rename(path.with_name(f"{_DROPPED}{path.name}")))


def _kid(path: Path) -> float | None:
    """Of a checkpoint, whose tensors are not read for it."""
    with _whole(path):
        kid = json.loads(_read(path, _STATE)[_STATE]).get("kid")
        return None if kid is None else float(kid)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    except _NOT_WHOLE as error:
        raise CheckpointError(f"{path}: is no whole checkpoint ({error})") from error
