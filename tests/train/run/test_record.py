"""The measures of a checkpoint on disk."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from drawwell.errors import WriteError
from drawwell_train.evaluation import record
from drawwell_train.evaluation.record import RecordError
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.step import state
from tests.graphs import QUALITY
from tests.train.configs import configured


@pytest.fixture(scope="module")
def found() -> Checkpoint:
    config = configured(out=Path("runs/x"), width=4)
    return Checkpoint(1000, config, state.to_tensors(state.build(config, torch.device("cpu"))))


def with_tensor(found: Checkpoint, start: str) -> Checkpoint:
    """The same checkpoint but for one number of a tensor whose name starts so."""
    name = next(name for name in found.tensors if name.startswith(start))
    return replace(found, tensors={**found.tensors, name: found.tensors[name] + 1})


def test_what_was_written_is_read(tmp_path: Path, found: Checkpoint) -> None:
    assert record.read(tmp_path, found) is None
    file = record.write(tmp_path, found, QUALITY)
    assert file == tmp_path / "measures" / "step-00001000.json"
    assert record.read(tmp_path, found) == QUALITY
    other = replace(QUALITY, seed=8)
    record.write(tmp_path, found, other)
    assert record.read(tmp_path, found) == other
    assert list(file.parent.iterdir()) == [file]


def test_measures_are_those_of_their_step_and_weights_alone(tmp_path: Path, found: Checkpoint) -> None:
    record.write(tmp_path, found, QUALITY)
    assert record.read(tmp_path, replace(found, step=1001)) is None
    assert record.read(tmp_path, with_tensor(found, "averaged.")) is None
    assert record.read(tmp_path, with_tensor(found, "discriminator.")) == QUALITY


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"weights_sha256": "0", "quality": {}}'])
def test_a_damaged_record_is_a_sentence(tmp_path: Path, found: Checkpoint, content: bytes) -> None:
    file = record.write(tmp_path, found, QUALITY)
    file.write_bytes(content)
    with pytest.raises(RecordError, match=r"step-00001000\.json: holds no valid measures"):
        record.read(tmp_path, found)


def test_every_cut_of_a_record_is_a_sentence(tmp_path: Path, found: Checkpoint) -> None:
    file = record.write(tmp_path, found, QUALITY)
    whole = file.read_bytes().rstrip()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(RecordError, match="holds no valid measures"):
            record.read(tmp_path, found)


def test_what_can_be_neither_read_nor_written_is_a_sentence(tmp_path: Path, found: Checkpoint) -> None:
    (tmp_path / "measures").touch()
    with pytest.raises(RecordError, match=r"cannot be read \(Not a directory\)"):
        record.read(tmp_path, found)
    with pytest.raises(WriteError, match=r"\d bytes could not be written \(File exists\)"):
        record.write(tmp_path, found, QUALITY)


def test_reading_measures_brings_nothing_that_takes_them() -> None:
    code = "import drawwell_train.evaluation.record, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torchmetrics", "efficientnet_lite_pytorch", "PIL"} & set(done.stdout.split())
