"""The measures of a run's checkpoint on disk, ``RUN/measures/step-00001000.json``: evaluation leaves them, an export takes them.

Those of a mixture lie in its first run, in ``mixture-``, the beginning of its weights' SHA-256, ``.json``.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from drawwell import atomic_files as files
from drawwell.atomic_files import WriteError
from drawwell.errors import DrawwellError
from drawwell.files.card import UNREADABLE, Sha256
from drawwell.files.quality import Quality
from drawwell_train.data import memory
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.run.mixture import weights_sha256


class RecordError(DrawwellError):
    """The measures cannot be read; the message says which file."""


@dataclass(frozen=True)
class _Record:
    """``weights_sha256`` is that of the averaged generators: a run that went back and on has a step twice."""

    weights_sha256: Sha256
    quality: Quality


def write(run: Path, checkpoint: Checkpoint, quality: Quality, *more: Checkpoint) -> Path:
    """Leave the measures of a checkpoint, or of its mixture with ``more``, in the run folder, in the place of earlier ones.

    Raises ``WriteError``.
    """
    file = _file(run, checkpoint, *more)
    content = msgspec.json.format(msgspec.json.encode(_Record(weights_sha256(checkpoint, *more), quality))) + b"\n"
    try:
        file.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise WriteError(file, len(content), error) from error
    files.write(file, content)
    return file


def read(run: Path, checkpoint: Checkpoint, *more: Checkpoint) -> Quality | None:
    """The measures of this checkpoint, or of its mixture with ``more``; None where there are none, or only those of other weights.

    Raises ``RecordError``.
    """
    file = _file(run, checkpoint, *more)
    try:
        record = msgspec.json.decode(files.read(file, memory.free()), type=_Record)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{file}: cannot be read ({error.strerror})") from error
    except UNREADABLE as error:
        raise RecordError(
            f"{file}: holds no measures, so it is damaged ({error}): remove it, or measure again"
        ) from error
    return record.quality if record.weights_sha256 == weights_sha256(checkpoint, *more) else None


def _file(run: Path, checkpoint: Checkpoint, *more: Checkpoint) -> Path:
    name = f"mixture-{weights_sha256(checkpoint, *more)[:16]}" if more else f"step-{checkpoint.step:08d}"
    return run / "measures" / f"{name}.json"
