"""Contract 2: whole, or not there at all, and checked before it is believed."""

import errno
import json
import os
import random
import shutil
from pathlib import Path

import pytest
import torch

from drawwell.errors import WriteError
from drawwell_train.run import checkpoint
from drawwell_train.run.checkpoint import Checkpoint, CheckpointError
from drawwell_train.step import state as states
from tests.train.configs import configured

CONFIG = configured(out=Path("runs/x"), width=4)


def of_step(step: int, kid: float | None = None) -> Checkpoint:
    tensors = states.to_tensors(states.build(CONFIG, torch.device("cpu")))
    return Checkpoint(step, CONFIG, tensors | {"marker": torch.tensor([step])}, kid)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for step in (1, 2):
        checkpoint.save(tmp_path, of_step(step), keep=2)
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_is_loaded(folder: Path) -> None:
    loaded, passed_over = checkpoint.load_latest(folder)
    assert loaded is not None
    assert passed_over == []
    assert (loaded.step, loaded.config) == (2, CONFIG)
    assert states.digest(loaded.tensors) == states.digest(of_step(2).tensors)


def test_only_the_newest_are_kept_by_number_and_not_by_time(folder: Path) -> None:
    checkpoint.save(folder, of_step(10), keep=2)
    assert names(folder) == ["step-00000002", "step-00000010"]


def test_the_best_is_kept_beside_the_newest(tmp_path: Path) -> None:
    left = []
    for step, kid in enumerate([None, 0.5, 0.3, 0.4, None, 0.3, -0.1], 1):
        checkpoint.save(tmp_path, of_step(step, kid), keep=1)
        left.append([int(name.removeprefix("step-")) for name in names(tmp_path)])
    assert left == [[1], [2], [3], [3, 4], [3, 5], [6], [7]], "of two as good the newer"
    found, passed_over = checkpoint.load_best(tmp_path)
    assert found is not None
    assert (found.step, found.kid, passed_over) == (7, -0.1, [])


def test_what_is_damaged_is_not_the_best(tmp_path: Path) -> None:
    for step, kid in enumerate([0.1, 0.2, 0.3], 1):
        checkpoint.save(tmp_path, of_step(step, kid), keep=3)
    (tmp_path / "step-00000001" / "tensors.safetensors").write_bytes(b"")
    state = tmp_path / "step-00000002" / "state.json"
    state.write_text(state.read_text().replace("0.2", "0.0"))
    said: list[str] = []
    checkpoint.save(tmp_path, of_step(4, 0.4), keep=1, say=said.append)
    assert names(tmp_path) == ["step-00000003", "step-00000004"]
    assert ["step-00000002" in said[0], "step-00000001" in said[1]] == [True, True]


def test_no_pickle_is_written_or_read(folder: Path) -> None:
    assert names(folder / "step-00000002") == ["manifest.json", "state.json", "tensors.safetensors"]


def test_any_damage_is_found_and_the_one_before_is_taken(folder: Path) -> None:
    newest, chance = folder / "step-00000002", random.Random(0)
    whole = {file.name: file.read_bytes() for file in newest.iterdir()}
    for trial in range(60):
        name = chance.choice(sorted(whole))
        content = bytearray(whole[name])
        if trial % 3:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        else:
            del content[chance.randrange(len(content)) :]
        (newest / name).write_bytes(content)
        loaded, passed_over = checkpoint.load_latest(folder)
        assert loaded is not None
        assert loaded.step == 1, f"{name} was damaged and believed"
        assert len(passed_over) == 1
        assert "step-00000002" in passed_over[0]
        (newest / name).write_bytes(whole[name])


def test_a_missing_file_is_damage(folder: Path) -> None:
    (folder / "step-00000002" / "state.json").unlink()
    loaded, _ = checkpoint.load_latest(folder)
    assert loaded is not None
    assert loaded.step == 1


def test_all_damaged_is_an_error_and_not_a_fresh_start(folder: Path) -> None:
    for path in folder.iterdir():
        (path / "tensors.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="every checkpoint of this run is damaged"):
        checkpoint.load_latest(folder)


def test_a_run_without_checkpoints_has_none_to_find(tmp_path: Path) -> None:
    assert checkpoint.load_latest(tmp_path) == (None, [])


def test_a_disk_that_is_full_keeps_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"step-00000003: [\d,]+ bytes could not be written \(No space left"):
        checkpoint.save(folder, of_step(3), keep=1)
    assert names(folder) == ["step-00000001", "step-00000002"]


def test_leftovers_of_a_crash_are_removed(folder: Path) -> None:
    shutil.copytree(folder / "step-00000002", folder / ".writing-step-00000003")
    checkpoint.save(folder, of_step(4), keep=9)
    checkpoint.discard_after(folder, 2)
    assert names(folder) == ["step-00000001", "step-00000002"]


def test_a_run_is_found_by_step(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(CheckpointError, match="is not a run folder"):
        checkpoint.find(run, None)
    (run / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        checkpoint.find(run, None)
    shutil.copytree(folder / "step-00000002", run / "checkpoints" / "step-00000002")
    assert checkpoint.find(run, None)[0].step == 2
    assert checkpoint.find(run, 2)[0].step == 2
    with pytest.raises(CheckpointError, match="has no checkpoint of step 7; there are 2"):
        checkpoint.find(run, 7)


def test_the_state_names_the_versions_and_the_configuration(folder: Path) -> None:
    state = json.loads((folder / "step-00000002" / "state.json").read_text())
    assert state["torch"] == torch.__version__
    assert state["config"]["width"] == 4
