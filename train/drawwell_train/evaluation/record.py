"""The measures and the certificate of a checkpoint on disk: ``drawwell export`` puts them into the card.

``drawwell evaluate`` writes measures into ``RUN/measures/step-00001000.json``, ``drawwell certify`` its certificate into
``RUN/measures/certificate-step-00001000.json``. Those of a mixture lie in its first run, as ``mixture-SHA.json`` and
``certificate-mixture-SHA.json`` with the first 16 digits of the SHA-256 of its weights.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from drawwell import atomic_files as files
from drawwell.errors import DrawwellError, WriteError
from drawwell.files.card import Sha256
from drawwell.files.card_json import UNREADABLE
from drawwell.files.certified import Certified
from drawwell.files.quality import Quality
from drawwell_train.data import memory
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.run.mixture import weights_sha256


class RecordError(DrawwellError):
    """The measures cannot be read; the message says which file."""


@dataclass(frozen=True)
class _Record:
    """``weights_sha256`` is of the EMA generators: a run that went back to an earlier checkpoint reaches a step twice."""

    weights_sha256: Sha256
    quality: Quality | None = None
    certificate: Certified | None = None


def write(run: Path, checkpoint: Checkpoint, quality: Quality, *more: Checkpoint) -> Path:
    """Write the measures of a checkpoint, or of its mixture with ``more``, into the run folder; earlier ones are replaced.

    Returns the path of the file. Raises ``WriteError``.
    """
    file = _file(run, checkpoint, *more)
    _write(file, _Record(weights_sha256(checkpoint, *more), quality))
    return file


def write_certificate(run: Path, checkpoint: Checkpoint, certificate: Certified, *more: Checkpoint) -> Path:
    """Write the certificate of a checkpoint, or of its mixture with ``more``; otherwise as ``write``."""
    file = _certificate_file(run, checkpoint, *more)
    _write(file, _Record(weights_sha256(checkpoint, *more), certificate=certificate))
    return file


def _write(file: Path, record: _Record) -> None:
    content = msgspec.json.format(msgspec.json.encode(record)) + b"\n"
    try:
        file.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise WriteError(file, len(content), error) from error
    files.write(file, content)


def read(run: Path, checkpoint: Checkpoint, *more: Checkpoint) -> Quality | None:
    """Return the measures of a checkpoint, or of its mixture with ``more``; None if there are none of these weights.

    Raises ``RecordError`` for a file that cannot be read.
    """
    record = _read(_file(run, checkpoint, *more), weights_sha256(checkpoint, *more))
    return None if record is None else record.quality


def read_certificate(run: Path, checkpoint: Checkpoint, *more: Checkpoint) -> Certified | None:
    """Return the certificate of a checkpoint, or of its mixture with ``more``; otherwise as ``read``."""
    record = _read(_certificate_file(run, checkpoint, *more), weights_sha256(checkpoint, *more))
    return None if record is None else record.certificate


def _read(file: Path, weights: str) -> _Record | None:
    try:
        record = msgspec.json.decode(files.read(file, memory.free()), type=_Record)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{file}: cannot be read ({error.strerror})") from error
    except UNREADABLE as error:
        raise RecordError(
            f"{file}: holds no valid measures ({error}): remove it, or measure again with drawwell evaluate or drawwell certify"
        ) from error
    return record if record.weights_sha256 == weights else None


def _certificate_file(run: Path, checkpoint: Checkpoint, *more: Checkpoint) -> Path:
    file = _file(run, checkpoint, *more)
    return file.with_name(f"certificate-{file.name}")


def _file(run: Path, checkpoint: Checkpoint, *more: Checkpoint) -> Path:
    name = f"mixture-{weights_sha256(checkpoint, *more)[:16]}" if more else f"step-{checkpoint.step:08d}"
    return run / "measures" / f"{name}.json"
