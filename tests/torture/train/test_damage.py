"""Checkpoints and files of data that are damaged, or made to do harm."""

import gzip
import hashlib
import io
import json
import os
import pickle
import random
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from drawwell_train.data import dataset as data
from drawwell_train.data.images import DataError
from drawwell_train.run import checkpoint
from drawwell_train.run.checkpoint import CheckpointError
from drawwell_train.run.run_folder import Run, RunError

from ..conftest import FULL, Record, times
from .conftest import Train
from .trainer import digest

_SECONDS = 2


@pytest.fixture(scope="module")
def run(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the checkpoints of steps 8 and 10."""
    folder = tmp_path_factory.mktemp("damage") / "run"
    assert train(folder, "--steps", "10")[0] == 0
    return folder


def test_flips_and_cuts_of_checkpoint_files(
    train: Train, run: Path, undisturbed: str, tmp_path: Path, record: Record
) -> None:
    """Flipped bits and cuts of checkpoint files: all are refused, and the run continues from the checkpoint before, loudly, to the same
    hash."""
    chance, count, resumed, kinds = random.Random(7), times(5_000, 60), times(25, 1), Counter[str]()
    newest = run / "checkpoints" / "step-00000010"
    whole = {file.name: file.read_bytes() for file in newest.iterdir()}
    for trial in range(count):
        name, kind = chance.choice(sorted(whole)), chance.choice(sorted(_DAMAGES))
        kinds[f"{kind} of {name}"] += 1
        damaged = _DAMAGES[kind](chance, whole[name])
        (newest / name).write_bytes(damaged)
        found, passed_over = checkpoint.load_latest(run / "checkpoints")
        assert found is not None and found.step == 8, f"{kind} of {name} was believed"
        assert len(passed_over) == 1 and str(newest) in passed_over[0]
        if trial < resumed:
            _assert_resumed_loudly(train, shutil.copytree(run, tmp_path / str(trial)), undisturbed)
        (newest / name).write_bytes(whole[name])
    record(count=count, believed=0, damages=dict(kinds), resumed_to_the_same_weights=resumed)


def _assert_resumed_loudly(train: Train, run: Path, undisturbed: str) -> None:
    code, said = train(run)
    assert code == 0
    assert "damaged checkpoint skipped" in said and "at step 8" in said
    assert digest(run) == undisturbed


def _flipped(chance: random.Random, content: bytes) -> bytes:
    flipped = bytearray(content)
    flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def _several_flipped(chance: random.Random, content: bytes) -> bytes:
    places = chance.sample(range(len(content)), chance.randint(2, 64))
    flipped = bytearray(content)
    for place in places:
        flipped[place] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def _cut(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content))]


def _cut_out(chance: random.Random, content: bytes) -> bytes:
    first = chance.randrange(len(content))
    return content[:first] + content[chance.randrange(first, len(content)) + 1 :]


def _zeroed(chance: random.Random, content: bytes) -> bytes:
    """What a disk without power may leave: the length is right, and a block is not."""
    first = chance.randrange(len(content))
    zeroed = content[:first] + bytes(len(content[first : first + 512])) + content[first + 512 :]
    return zeroed if zeroed != content else _flipped(chance, content)


_DAMAGES = {"a flip": _flipped, "flips": _several_flipped, "a cut": _cut, "a hole": _cut_out, "zeros": _zeroed}


class _Canary:
    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self._file,)


def _zip_bomb(member: str) -> bytes:
    """A thousand entries, all of the same 10 MB of zeros: ten gigabytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr(member, bytes(10**7))
        bomb.filelist *= 1_000
    return archive.getvalue()


def _npz(member: str) -> bytes:
    array, archive = io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros((9, 28, 28), np.uint8))
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr(member, array.getvalue())
    return archive.getvalue()


def test_what_is_put_in_the_place_of_a_checkpoint_file(run: Path, tmp_path: Path) -> None:
    """A pickle with a canary, a zip bomb, paths that climb and deep nesting in the place of a checkpoint's file, in a manifest that is
    right about it: refused, never run."""
    canary = tmp_path / "canary"
    contents = [
        pickle.dumps(_Canary(canary)),
        _zip_bomb("x"),
        _npz("../../x.npy"),
        b"[" * 100_000,
        b"null",
        b"[]",
        b'"x"',
        b"",
    ]
    for number, (content, name) in enumerate(
        (content, name) for content in contents for name in ("tensors.safetensors", "state.json", "manifest.json")
    ):
        copy = shutil.copytree(run / "checkpoints" / "step-00000010", tmp_path / str(number) / "step-00000010")
        _replace(copy, name, content)
        _assert_refused(copy)
    assert not canary.exists()


def test_a_checkpoint_that_names_other_files(run: Path, tmp_path: Path) -> None:
    """A manifest that names files outside of its checkpoint, or a checkpoint under the name of another step, is refused."""
    source = run / "checkpoints" / "step-00000010"
    climbing = shutil.copytree(source, tmp_path / "step-00000010")
    manifest = json.loads((climbing / "manifest.json").read_bytes())
    (climbing / "manifest.json").write_text(json.dumps(manifest | {"../../../etc/hostname": "0" * 64}))
    _assert_refused(climbing)
    _assert_refused(shutil.copytree(source, tmp_path / "step-00000099"))


def _replace(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    if name != "manifest.json":
        manifest = json.loads((folder / "manifest.json").read_bytes())
        (folder / "manifest.json").write_text(json.dumps(manifest | {name: hashlib.sha256(content).hexdigest()}))


@contextmanager
def _soon() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert not FULL or time.monotonic() - begun < _SECONDS


def _assert_refused(folder: Path) -> None:
    with _soon(), pytest.raises(CheckpointError, match=folder.name):
        checkpoint.load(folder)


@pytest.mark.parametrize("put", [os.mkfifo, lambda file: file.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_pipes_and_devices_in_the_place_of_files(run: Path, tmp_path: Path, put: Callable[[Path], None]) -> None:
    """Pipes and endless devices in the place of data, of checkpoints and of a run's records: each is a sentence within 2 s."""
    for name in ("x.npy", "x.zip", "x.bin", "x.gz", "folder/data_batch_1.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        put(tmp_path / name)
        with _soon(), pytest.raises(DataError, match=name):
            data.load(str(tmp_path / "folder" if "/" in name else tmp_path / name))
        (tmp_path / name).unlink()
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    for file in (copy / "checkpoints" / "step-00000010").iterdir():
        content = file.read_bytes()
        file.unlink()
        put(file)
        _assert_refused(file.parent)
        file.unlink()
        file.write_bytes(content)
    (copy / "stats.jsonl").unlink()
    put(copy / "stats.jsonl")
    with _soon(), pytest.raises(RunError, match=r"stats\.jsonl"), Run(copy).locked():
        pass


def test_data_that_is_made_to_do_harm(tmp_path: Path) -> None:
    """A pickle with a canary, zip bombs, paths that climb and arrays that say they are petabytes, as data of any name: refused within
    2 s, never run, nothing unpacked."""
    canary = tmp_path / "canary"
    pickled, petabytes = io.BytesIO(), io.BytesIO()
    np.save(pickled, np.array([_Canary(canary)], dtype=object), allow_pickle=True)
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**3, 10**3)}
    np.lib.format.write_array_header_1_0(petabytes, header)
    harmful = [pickle.dumps(_Canary(canary)), pickled.getvalue(), petabytes.getvalue(), _zip_bomb("x.npy")]
    harmful += [_npz("../../x.npy"), _npz("/etc/x.npy"), gzip.compress(bytes(3073 * 30_000))]
    for name in ("x.npy", "x.npz", "x.gz", "x.bin.gz", "x.bin", "train-images-idx3-ubyte.gz"):
        file = tmp_path / "data" / name
        file.parent.mkdir(exist_ok=True)
        for content in harmful:
            file.write_bytes(content)
            with _soon(), pytest.raises(DataError, match=name):
                data.load(str(file))
        assert list(tmp_path.iterdir()) == [file.parent], "something was run, or unpacked"
        assert list(file.parent.iterdir()) == [file]
        file.unlink()
