"""What is no file, or not what training wrote, in the place of a file: a sentence, and no wait."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from drawwell import atomic_files as files
from drawwell.errors import DrawwellError, WriteError
from drawwell_train.data.dataset import load
from drawwell_train.data.images import DataError
from drawwell_train.evaluation import record
from drawwell_train.evaluation.record import RecordError
from drawwell_train.monitor.conditions import Watch
from drawwell_train.monitor.film import film
from drawwell_train.run import checkpoint
from drawwell_train.run.checkpoint import CheckpointError
from drawwell_train.run.run_folder import Run, RunError
from drawwell_train.step import state as states
from tests.train.configs import configured
from tests.train.makers import pictures

Put = Callable[[Path], None]


@pytest.fixture(autouse=True)
def _no_wait() -> Iterator[None]:
    """Who waits for a pipe's other end, or reads a device, fails instead of hanging."""

    def late(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def endless(file: Path) -> None:
    file.symlink_to("/dev/zero")


def huge(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(2**43)  # sparse, where the file system takes it


@pytest.fixture(params=[os.mkfifo, endless, huge], ids=["pipe", "device", "huge"])
def put(request: pytest.FixtureRequest, tmp_path: Path) -> Put:
    """Something to put in the place of a file."""
    if request.param is huge:
        try:
            huge(tmp_path / "probe")
        except OSError:
            pytest.skip("this file system takes no such file")
    chosen: Put = request.param
    return chosen


def test_what_is_no_file_is_not_read(tmp_path: Path, put: Put) -> None:
    put(tmp_path / "x")
    with pytest.raises(OSError, match=r"pipe or a device|more than memory holds"):
        files.read(tmp_path / "x", 2**30)


@pytest.mark.parametrize("put", [os.mkfifo, endless])
def test_what_is_no_file_is_not_written_to(tmp_path: Path, put: Put) -> None:
    put(tmp_path / "x")
    for write in (files.append, files.overwrite):
        with pytest.raises(WriteError, match=r"x: 1 bytes could not be written"):
            write(tmp_path / "x", b"\n")


def test_a_temporary_file_that_is_there_already_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link would lead to another file, and a pipe would wait."""
    (tmp_path / "victim").write_bytes(b"as it was")
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    temporary = tmp_path / f".{'0' * 16}.writing"
    plants: list[Callable[[], None]] = [lambda: temporary.symlink_to("victim"), lambda: os.mkfifo(temporary)]
    for plant in plants:
        plant()
        with pytest.raises(WriteError, match=r"x: 3 bytes could not be written"):
            files.write(tmp_path / "x", b"new")
    assert (tmp_path / "victim").read_bytes() == b"as it was"


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One may begin and end while the other writes, as ``drawwell curves`` while a training draws its own."""
    file, real, others = tmp_path / "x", os.fsync, [b"second"]

    def fsync(descriptor: int) -> None:
        if others:
            files.write(file, others.pop())
            assert file.read_bytes() == b"second"
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write(file, b"first")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]


def test_the_next_start_removes_what_a_killed_write_left(tmp_path: Path) -> None:
    """And nothing that only looks like it."""
    left = [tmp_path / f".{'0f' * 8}.writing", tmp_path / "samples" / f".{'a1' * 8}.writing"]
    kept = tmp_path / ".notes.writing"
    (tmp_path / "samples").mkdir()
    for file in (*left, kept):
        file.write_bytes(b"half")
    with Run(tmp_path).locked():
        assert not any(file.exists() for file in left)
    assert kept.exists()


def test_a_run_folder_of_what_is_no_file_is_sentences(tmp_path: Path, put: Put) -> None:
    run = Run(tmp_path)
    put(tmp_path / "stats.jsonl")
    for read in (run.stats, lambda: run.truncate_stats(1)):
        with pytest.raises(RunError, match=r"stats\.jsonl: cannot be read"):
            read()
    (tmp_path / "samples").mkdir()
    put(tmp_path / "samples" / "step-00000010.png")
    with pytest.raises(DrawwellError, match=r"step-00000010\.png: is no picture"):
        film(run.sheets())


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "tensors.safetensors"])
def test_a_checkpoint_of_what_is_no_file_is_passed_over(tmp_path: Path, put: Put, name: str) -> None:
    config = configured(out=tmp_path, width=4, latent_dim=4)
    state = states.build(config, torch.device("cpu"))
    tensors = states.to_tensors(state)
    for step in (1, 2):
        newest = checkpoint.save(tmp_path, checkpoint.Checkpoint(step, config, tensors), 2)
    (newest / name).unlink()
    put(newest / name)
    with pytest.raises(CheckpointError, match="is not a complete checkpoint"):
        checkpoint.load(newest)
    found, damaged = checkpoint.load_latest(tmp_path)
    assert found is not None and found.step == 1 and len(damaged) == 1
    assert checkpoint.newest_config(tmp_path) is not None
    assert checkpoint.load_best(tmp_path)[0] is None


def test_measures_of_what_is_no_file_are_a_sentence(tmp_path: Path, put: Put) -> None:
    config = configured(out=tmp_path, width=4)
    (tmp_path / "measures").mkdir()
    put(tmp_path / "measures" / "step-00000001.json")
    with pytest.raises(RecordError, match="cannot be read"):
        record.read(tmp_path, checkpoint.Checkpoint(1, config, {}))


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.zip", "x.bin", "x.bin.gz", "x-images-idx3-ubyte", "x.gz", ""])
@pytest.mark.parametrize("put", [os.mkfifo, endless])
def test_data_that_is_no_file_is_a_sentence(tmp_path: Path, put: Put, name: str) -> None:
    put(tmp_path / (name or "x"))
    with pytest.raises(DataError, match="is a pipe or a device: name a file or a folder"):
        load(str(tmp_path / (name or "x")))


@pytest.mark.parametrize("name", ["data_batch_1.bin", "data_batch_1.bin.gz", "labels.csv"])
@pytest.mark.parametrize("put", [os.mkfifo, endless])
def test_a_folder_of_what_is_no_file_is_a_sentence(tmp_path: Path, put: Put, name: str) -> None:
    """And not a data set without its labels."""
    pictures(tmp_path, "1.png")
    put(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name}: is not a file, or is a broken link"):
        load(str(tmp_path), 28)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "absent", "~nobody-here/x"])
def test_names_that_no_file_has_are_sentences(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"no such file or folder|is not a valid path"):
        load(name if name.startswith("~") else str(tmp_path / name))


STRANGE_LINES = {
    "deep list": b"[" * 100_000,
    "deep object": b'{"step": ' * 50_000,
    "no UTF-8": b'{"step": 7, "a": "\xff"}',
    "no JSON": b"\xff",
    "step in words": b'{"step": "7"}',
    "step is no number": b'{"step": true}',
    "step before the first": b'{"step": -1}',
    "list": b'{"step": 7, "value": [1]}',
    "object": b'{"step": 7, "value": {}}',
    "NaN": b'{"step": 7, "value": NaN}',
    "number": b"7",
}


@pytest.mark.parametrize("line", STRANGE_LINES.values(), ids=STRANGE_LINES)
def test_a_line_that_training_did_not_write_is_a_sentence(tmp_path: Path, line: bytes) -> None:
    """Deep ones and those that are no UTF-8 too. Where the run is continued, it is dropped."""
    run = Run(tmp_path)
    (tmp_path / "stats.jsonl").write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 2}\n')
    with pytest.raises(RunError, match=r"stats\.jsonl: holds a line that training did not write, line 2"):
        run.stats()
    assert run.truncate_stats(2) == 1
    assert run.stats() == [{"step": 1}, {"step": 2}]


def test_lines_without_measures_say_nothing_of_conditions() -> None:
    """As that of NaN, which a run may be continued after."""
    watch = Watch("non-saturating", [{"step": 300}, {"step": 350, "conditions": ["NaN"]}])
    assert watch.active == ()
    assert watch.look({"step": 400}) == []
