"""Checkpoints on disk: whole or not there at all, and checked before they are believed.

A checkpoint is a folder ``step-00001000`` with ``tensors.safetensors``, ``state.json`` (the step, the resolved
configuration, the versions) and ``manifest.json`` (the SHA-256 of the other two). No pickle is ever read.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from drawwell.errors import DrawwellError
from drawwell_train import files
from drawwell_train.config import TrainConfig
from drawwell_train.files import WriteError
from drawwell_train.identity import from_dict, to_dict

_TENSORS, _STATE, _MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_PREFIX, _TEMPORARY, _DROPPED = "step-", ".writing-", ".dropped-"

_NOT_WHOLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, SafetensorError)
"""What reading rubbish raises."""


class CheckpointError(DrawwellError):
    """A checkpoint is missing or damaged; the message says which."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of ``state.to_tensors`` after ``step`` steps of ``config``."""

    step: int
    config: TrainConfig
    tensors: dict[str, Tensor]


def save(folder: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write the checkpoint below ``folder`` and drop all but the newest ``keep``; a crash leaves the earlier ones as they were.

    Raises ``WriteError``, with nothing left of what was begun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{_PREFIX}{checkpoint.step:08d}"
    temporary = folder / f"{_TEMPORARY}{target.name}"
    state = {"step": checkpoint.step, "config": to_dict(checkpoint.config), "torch": torch.__version__}
    contents = {
        _TENSORS: safetensors.torch.save(checkpoint.tensors),
        _STATE: json.dumps(state, indent=2).encode(),
    }
    contents[_MANIFEST] = json.dumps(_sums(contents), indent=2).encode()
    try:
        _write_folder(temporary, contents)
        temporary.rename(target)
        files.sync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        size = sum(map(len, contents.values()))
        raise WriteError(target, size, error, "; the checkpoint before it is whole") from error
    for _, old in _steps(folder)[keep:]:
        _drop(old)
    return target


def load(path: Path) -> Checkpoint:
    """Read one checkpoint. Raises ``CheckpointError`` unless every byte is as it was written."""
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        contents = {name: (path / name).read_bytes() for name in (_TENSORS, _STATE)}
        if sorted(manifest) != sorted(contents):
            raise CheckpointError(f"{path / _MANIFEST}: names other files than a checkpoint has, so it is damaged")
        for name, sha256 in _sums(contents).items():
            if sha256 != manifest[name]:
                raise CheckpointError(f"{path / name}: its SHA-256 is not the manifest's, so it is damaged")
        state = json.loads(contents[_STATE])
        if f"{_PREFIX}{state['step']:08d}" != path.name:
            raise CheckpointError(f"{path}: is of step {state['step']:,}, and was renamed")
        return Checkpoint(state["step"], from_dict(state["config"]), safetensors.torch.load(contents[_TENSORS]))
    except _NOT_WHOLE as error:
        raise CheckpointError(f"{path}: is no whole checkpoint ({error})") from error


def load_latest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint, or None where there is none yet; and a sentence for each damaged one passed over.

    Raises ``CheckpointError`` where there are checkpoints and all are damaged: to start anew would throw the run away.
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


def find(run: Path, step: int | None) -> tuple[Checkpoint, list[str]]:
    """The checkpoint of a run folder at ``step``, or the newest whole one with a sentence for each passed over."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        raise CheckpointError(f"{run}: is no run folder of drawwell train")
    steps = [number for number, _ in _steps(folder)]
    if step is not None and step not in steps:
        raise CheckpointError(
            f"{run}: has no checkpoint of step {step}; there are {', '.join(map(str, steps)) or 'none'}"
        )
    if step is not None:
        return load(folder / f"{_PREFIX}{step:08d}"), []
    newest, damaged = load_latest(folder)
    if newest is None:
        raise CheckpointError(f"{run}: has no checkpoint yet")
    return newest, damaged


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


def _drop(path: Path) -> None:
    """Remove a checkpoint, of which a crash must not leave half under its name."""
    shutil.rmtree(path.rename(path.with_name(f"{_DROPPED}{path.name}")))


def _write_folder(folder: Path, contents: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in contents.items():
        files.write_to_disk(folder / name, content)
    files.sync_folder(folder)


def _sums(contents: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
