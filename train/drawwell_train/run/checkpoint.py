"""Checkpoints on disk: complete or not there at all, and verified whenever they are read.

A checkpoint is a folder ``step-00001000`` with ``tensors.safetensors``, ``state.json`` (format, step, resolved configuration with all
fields of the preset, KID if it was measured, version of torch) and ``manifest.json`` (SHA-256 of the other two). No pickle is ever
read.
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
from drawwell.errors import DrawwellError, WriteError
from drawwell_train.config import TrainConfig
from drawwell_train.data import memory
from drawwell_train.run.checkpoint_format import FORMAT, FormatError, read_config
from drawwell_train.run.identity import to_dict

_TENSORS, _STATE, _MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_PREFIX, _TEMPORARY, _DROPPED = "step-", ".writing-", ".dropped-"

Step = int | Literal["best"] | None
"""A number of steps, ``best`` for the checkpoint with the lowest KID, or None for the last."""

Say = Callable[[str], None]
"""Takes a sentence for the user."""

_RUNS_SHOWN = 8
_NOT_WHOLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, SafetensorError)
"""Exceptions that reading a damaged checkpoint may raise."""


class CheckpointError(DrawwellError):
    """A checkpoint is missing or damaged; the message says which."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of ``state.to_tensors`` after ``step`` steps of ``config``, and the KID of their images if it was measured."""

    step: int
    config: TrainConfig
    tensors: dict[str, Tensor]
    kid: float | None = None


def save(folder: Path, checkpoint: Checkpoint, keep: int, say: Say = warnings.warn) -> Path:
    """Write a checkpoint, then remove all but the newest ``keep`` and the best. A crash leaves the earlier checkpoints unchanged.

    Args:
        folder: the folder of all checkpoints; created if necessary.
        checkpoint: what to write.
        keep: number of checkpoints to keep beside the best.
        say: takes a sentence for each damaged checkpoint that has a KID.

    Returns:
        The folder of the checkpoint.

    Raises:
        WriteError: it could not be written, and nothing of it is left.
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
    """Read a checkpoint.

    Raises:
        CheckpointError: it is damaged: a byte differs from what was written.
        FormatError: another version of drawwell wrote it.
    """
    with _whole(path):
        contents = _read(path, _TENSORS, _STATE)
        state = json.loads(contents[_STATE])
        if f"{_PREFIX}{state['step']:08d}" != path.name:
            raise CheckpointError(f"{path}: holds step {state['step']:,}, so the folder was renamed")
        tensors = safetensors.torch.load(contents[_TENSORS])
        return Checkpoint(state["step"], read_config(state), tensors, state.get("kid"))


def load_latest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest complete checkpoint, or None if there is none yet; and a sentence for each damaged one that was skipped.

    Raises:
        CheckpointError: there are checkpoints, and all are damaged. Training must not start again as if there were none.
        FormatError: another version of drawwell wrote the newest complete one.
    """
    damaged: list[str] = []
    for _, path in _steps(folder):
        try:
            return load(path), damaged
        except CheckpointError as error:
            damaged.append(str(error))
    if damaged:
        raise CheckpointError(
            "\n".join(
                [
                    "every checkpoint of this run is damaged; restore one from a copy, or train anew with another --out:",
                    *damaged,
                ]
            )
        )
    return None, []


def newest_config(folder: Path) -> TrainConfig | None:
    """The configuration of the newest checkpoint whose ``state.json`` is complete, or None. Reads no tensors.

    Raises ``FormatError`` if another version of drawwell wrote it.
    """
    for _, path in _steps(folder):
        try:
            with _whole(path):
                return read_config(json.loads(_read(path, _STATE)[_STATE]))
        except CheckpointError:
            continue  # load_latest skips it, and says so
    return None


def load_best(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The complete checkpoint with the lowest KID, of several the newest, or None; and a sentence for each damaged one."""
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


def _why_no_run(folder: Path) -> str:
    if not folder.exists():
        return "is not there: name the folder that drawwell train --out made"
    runs = sorted(path.parent.name for path in folder.glob("*/checkpoints"))
    inside = (
        f"; the runs in it are {', '.join(runs[:_RUNS_SHOWN])}{', ...' if len(runs) > _RUNS_SHOWN else ''}"
        if runs
        else ""
    )
    return f"is not a run folder of drawwell train{inside}"


def find(run: Path, step: Step) -> tuple[Checkpoint, list[str]]:
    """A checkpoint of a run folder, and a sentence for each damaged one that was skipped. Raises ``CheckpointError``, ``FormatError``."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        raise CheckpointError(f"{run}: {_why_no_run(run)}")
    if step == "best":
        return _found(
            load_best(folder),
            f"{run}: KID was not measured at any checkpoint, so there is no best one; name a step instead",
        )
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
    """Remove what a crash left half written, and the checkpoints after ``step``, which the run writes again."""
    for leftover in (*folder.glob(f"{_TEMPORARY}*"), *folder.glob(f"{_DROPPED}*")):
        shutil.rmtree(leftover)
    for number, path in _steps(folder):
        if number > step:
            _drop(path)


def _steps(folder: Path) -> list[tuple[int, Path]]:
    """Steps and folders of the checkpoints, newest first by step, whatever the times of the files."""

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
    """Remove a checkpoint. It is renamed first, so that a crash leaves no half of it under its name."""
    shutil.rmtree(path.rename(path.with_name(f"{_DROPPED}{path.name}")))


def _kid(path: Path) -> float | None:
    """The KID of a checkpoint, read without its tensors."""
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
        raise CheckpointError(f"{path}: is not a complete checkpoint ({error})") from error
