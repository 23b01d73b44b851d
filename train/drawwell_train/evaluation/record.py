"""The measures of a run's checkpoint on disk, ``RUN/measures/step-00001000.json``: evaluation leaves them, an export takes them."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from drawwell.card import UNREADABLE, Sha256
from drawwell.errors import DrawwellError
from drawwell.quality import Quality
from drawwell_train import files, state
from drawwell_train.checkpoint import Checkpoint
from drawwell_train.files import WriteError


class RecordError(DrawwellError):
    """The measures cannot be read; the message says which file."""


@dataclass(frozen=True)
class _Record:
    """``weights_sha256`` is ``state.digest`` of the averaged generator: a run that went back and on has a step twice."""

    weights_sha256: Sha256
    quality: Quality


def write(run: Path, checkpoint: Checkpoint, quality: Quality) -> Path:
    """Leave the measures in the run folder, in the place of earlier ones. Raises ``WriteError``."""
    file = _file(run, checkpoint)
    content = msgspec.json.format(msgspec.json.encode(_Record(_weights_sha256(checkpoint), quality))) + b"\n"
    try:
        file.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise WriteError(file, len(content), error) from error
    files.write(file, content)
    return file


def read(run: Path, checkpoint: Checkpoint) -> Quality | None:
    """The measures of this checkpoint; None where there are none, or only those of other weights. Raises ``RecordError``."""
    file = _file(run, checkpoint)
    try:
        record = msgspec.json.decode(file.read_bytes(), type=_Record)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{file}: cannot be read ({error.strerror})") from error
    except UNREADABLE as error:
        raise RecordError(
            f"{file}: holds no measures, so it is damaged ({error}): remove it, or measure again"
        ) from error
    return record.quality if record.weights_sha256 == _weights_sha256(checkpoint) else None


def _file(run: Path, checkpoint: Checkpoint) -> Path:
    return run / "measures" / f"step-{checkpoint.step:08d}.json"


def _weights_sha256(checkpoint: Checkpoint) -> str:
    return state.digest({name: value for name, value in checkpoint.tensors.items() if name.startswith("averaged.")})
