"""Whole runs: exact resume after kill -9, one trainer a folder, NaN, signals, refusals."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from drawwell.errors import DrawwellError
from drawwell_train import loop
from drawwell_train.data.images import DataError, check_device_memory
from drawwell_train.main import main
from drawwell_train.options import TrainOptions
from drawwell_train.resolve import resolve
from drawwell_train.run import checkpoint
from drawwell_train.run.run_folder import Run, RunError
from drawwell_train.step import batches
from drawwell_train.step import state as states
from tests import forked
from tests.conftest import drawwell
from tests.train.configs import configured

OPTIONS = [
    "--width",
    "8",
    "--batch-size",
    "16",
    "--threads",
    "1",
    "--log-every",
    "5",
    "--save-every",
    "10",
    "--sample-every",
    "10",
    "--kid-every",
    "0",
]


def train(out: Path, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return drawwell("train", "digits", "--out", str(out), *OPTIONS, *options, code=code)


def started(out: Path, *options: str) -> forked.Command:
    return forked.Command(["train", "digits", "--out", str(out), *OPTIONS, *options])


def wait_for(condition: Callable[[], bool], training: forked.Command) -> None:
    deadline = time.monotonic() + 300  # against a hang, as a starved machine may be slow
    while not condition():
        assert training.process.is_alive(), training.ended()
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.005)


def digest(run: Path) -> str:
    return states.digest(checkpoint.find(run, None)[0].tensors)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 steps without a stop."""
    run = tmp_path_factory.mktemp("straight") / "run"
    train(run, "--steps", "30")
    return run


def test_a_run_folder_holds_what_the_contract_says(straight: Path) -> None:
    assert sorted(path.name for path in straight.iterdir()) == [
        ".lock",
        "checkpoints",
        "config.json",
        "curves.png",
        "samples",
        "samples.webp",
        "stats.jsonl",
    ]
    assert sorted(path.name for path in (straight / "checkpoints").iterdir()) == ["step-00000020", "step-00000030"]
    assert sorted(path.name for path in (straight / "samples").iterdir()) == [
        f"step-000000{n}.png" for n in (10, 20, 30)
    ]
    config = json.loads((straight / "config.json").read_text())
    assert (config["size"], config["channels"], config["threads"], config["device"]) == (28, 1, 1, "cpu")
    records = [json.loads(line) for line in (straight / "stats.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [5, 10, 15, 20, 25, 30]
    assert [record["images"] for record in records] == [80, 160, 240, 320, 400, 480]
    means = {"loss_d", "loss_g", "d_real", "d_fake", "accuracy_d", "gradient_d", "gradient_g", "swing"}
    measures = {"value", "jsd", "diversity"}
    assert set(records[0]) == {"step", "images", "images_per_second", "conditions"} | means | measures


def test_ten_steps_a_kill_and_twenty_more_are_thirty_straight(straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = started(run, "--steps", "1000000")
    wait_for(lambda: any((run / "checkpoints").glob("step-*")) if run.exists() else False, process)
    process.send_signal(signal.SIGKILL)
    process.ended()
    for path in sorted((run / "checkpoints").glob("step-*"))[1:]:  # the machine may have been quicker than the kill
        path.rename(tmp_path / path.name)
    assert checkpoint.find(run, None)[0].step == 10
    said = train(run, "--steps", "30").stderr
    assert "at step 10" in said
    assert digest(run) == digest(straight)
    assert f"weights {digest(straight)}" in said.replace("\n", " ")
    lines = [json.loads(line)["step"] for line in (run / "stats.jsonl").read_text().splitlines()]
    assert lines == [5, 10, 15, 20, 25, 30]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stop_is_saved_and_continued_exactly(straight: Path, tmp_path: Path, number: int) -> None:
    run = tmp_path / "run"
    process = started(run, "--steps", "1000000", "--save-every", "1000000", "--log-every", "1")
    wait_for(lambda: (run / "stats.jsonl").exists(), process)
    process.send_signal(number)
    ended = process.ended()
    assert ended.returncode == 130
    assert "stopped and saved at step" in ended.stderr
    assert (run / "curves.png").is_file(), "what was done so far can be looked at"
    step = checkpoint.find(run, None)[0].step
    if step < 30:  # else the machine was quicker than the signal, and there is nothing left to compare
        train(run, "--steps", "30")
        assert digest(run) == digest(straight)


def test_a_second_interrupt_ends_training_at_once(tmp_path: Path) -> None:
    """In the midst of a step, which the first one waits for; nothing half-written is left."""
    run = tmp_path / "run"
    large = "--preset", "dcgan", "--size", "128", "--width", "64", "--batch-size", "128", "--precision", "float32"
    process = started(run, "--steps", "1000000", *large)
    wait_for(lambda: (run / "config.json").exists(), process)
    # where SIGINT is ignored until training begins, as in a shell's background, the first ones are lost
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        process.process.join(0.3)
        if not process.process.is_alive():
            break
    ended = process.ended()
    assert ended.returncode in (130, -signal.SIGINT), "a third one may come while Python ends"
    assert "Traceback" not in ended.stderr.partition("Exception ignored")[0]
    assert list((run / "checkpoints").iterdir()) == []


def test_only_a_second_sigint_is_impatient() -> None:
    """torchrun sends SIGTERM to processes that have had the terminal's SIGINT already."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with loop._stop_requested() as received:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert received == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with loop._stop_requested() as received:
            os.kill(os.getpid(), signal.SIGHUP)
        assert received == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nobody_who_reads_any_more_loses_no_step(straight: Path, tmp_path: Path) -> None:
    """A terminal that is closed, or a pipe whose reader ended, as in `drawwell train ... 2>&1 | head`."""
    run = tmp_path / "run"
    options = ["--out", str(run), *OPTIONS, "--steps", "1000000", "--save-every", "1000000", "--log-every", "1"]
    command = [sys.executable, "-m", "drawwell", "train", "digits", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step "):
            break
    process.stderr.close()
    assert process.wait(300) != 0
    step = checkpoint.find(run, None)[0].step
    if step < 30:
        train(run, "--steps", "30")
        assert digest(run) == digest(straight)


def test_a_damaged_checkpoint_is_passed_over_loudly(straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(run, "--steps", "20")
    newest = run / "checkpoints" / "step-00000020" / "tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    said = train(run, "--steps", "30").stderr
    assert "damaged checkpoint skipped" in said
    assert "at step 10" in said
    assert digest(run) == digest(straight)


def test_a_finished_run_is_left_as_it_is(straight: Path) -> None:
    before = digest(straight)
    train(straight, "--steps", "30")
    assert digest(straight) == before


@pytest.fixture
def unreadable(tmp_path: Path) -> Path:
    """Data that is refused as soon as it is read."""
    (tmp_path / "data.npy").write_bytes(b"no array")
    return tmp_path / "data.npy"


def test_the_second_trainer_in_a_folder_is_refused(tmp_path: Path, unreadable: Path) -> None:
    """Before its data is read, and by the first one's number."""
    run = tmp_path / "run"
    process = started(run, "--steps", "1000000")
    wait_for(lambda: (run / "stats.jsonl").exists(), process)
    with pytest.raises(RunError) as refused:
        main(TrainOptions(str(unreadable), out=run))
    process.send_signal(signal.SIGKILL)
    process.ended()
    wanted = f"another training is running in this folder: process {process.pid} on {socket.gethostname()}"
    assert str(refused.value) == f"{run}: {wanted}"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"latent_dim": 50}, "latent_dim was 100, is 50"),
        ({"size": 32}, "size was 28, is 32"),
        ({"conditional": True}, "conditional was False, is True"),
        ({"device": "cuda"}, "torch finds no CUDA device here"),
        ({"tensorboard": True}, "--tensorboard needs"),
    ],
)
def test_what_can_be_told_before_the_data_is_read_is(
    straight: Path, unreadable: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], sentence: str
) -> None:
    if "device" in options and torch.cuda.is_available():
        pytest.skip("there is one")
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    given: dict[str, Any] = {"width": 8, "batch_size": 16, "threads": 1} | options
    with pytest.raises(DrawwellError, match=sentence):
        main(TrainOptions(str(unreadable), out=straight, **given))


def test_a_share_of_the_processes_is_told_before_the_data_is_read(
    tmp_path: Path, unreadable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(DrawwellError, match="cannot be divided between 3 processes"):
        main(TrainOptions(str(unreadable), out=tmp_path / "run", batch_size=16))


def test_fewer_devices_than_processes_are_told_before_the_data_is_read(
    tmp_path: Path, unreadable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DrawwellError, match="3 processes on this machine need a CUDA device each, and there are 2"):
        main(TrainOptions(str(unreadable), out=tmp_path / "run", precision="float32"))


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
@pytest.mark.parametrize("name", ["stats.jsonl", "config.json"])
def test_a_record_that_is_no_file_is_told_before_the_data_is_read(
    tmp_path: Path, unreadable: Path, put: Callable[[Path], None], name: str
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    put(run / name)
    with pytest.raises(RunError, match=rf"{name}: is a folder, a pipe or a device: move it away"):
        main(TrainOptions(str(unreadable), out=run))


def test_training_refuses_images_that_the_device_does_not_hold(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first step, with nothing written but the configuration; and a run that is continued stays as it is."""
    asked: list[int] = []

    def check(needed: int, device: torch.device) -> None:
        assert device.type == "cpu"
        asked.append(needed)
        check_device_memory(needed, torch.device("cuda"))

    monkeypatch.setattr(batches, "check_device_memory", check)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**20, 2**34))
    shutil.copytree(straight, tmp_path / "continued")
    for name in ("new", "continued"):
        options = TrainOptions("digits", out=tmp_path / name, width=8, batch_size=16, threads=1, steps=40, kid_every=0)
        with pytest.raises(DataError, match=r"the images need 0.0 GiB on the device, which has 0.0 GiB free"):
            main(options)
    assert asked == [5000 * 28 * 28] * 2
    assert not list((tmp_path / "new" / "checkpoints").iterdir())
    assert digest(tmp_path / "continued") == digest(straight)


def test_data_that_is_refused_leaves_no_folder(tmp_path: Path, unreadable: Path) -> None:
    for data in (unreadable, tmp_path / "absent.npy"):
        with pytest.raises(DataError):
            main(TrainOptions(str(data), out=tmp_path / "run"))
    assert [path.name for path in tmp_path.iterdir()] == ["data.npy"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".notes.txt").write_text("mine")
    with pytest.raises(DataError):
        main(TrainOptions(str(unreadable), out=tmp_path / "run"))
    assert (tmp_path / "run" / ".notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("data", "out"),
    [("photos", "runs/photos"), (".photos", "runs/photos"), ("..cats.v2", "runs/cats"), ("x/.a.b.npz", "runs/a")],
)
def test_the_run_folder_is_called_as_the_data(data: str, out: str) -> None:
    assert resolve(TrainOptions(data)).out == Path(out)


@pytest.mark.parametrize("options", [{"data": "/"}, {"data": "...."}, {"name": ".."}, {"name": "../x"}, {"name": "/x"}])
def test_a_run_is_never_written_beside_the_runs(options: dict[str, str]) -> None:
    with pytest.raises(DrawwellError, match="names no folder below runs/: name the run folder with --out"):
        resolve(TrainOptions(**{"data": "digits"} | options))  # type: ignore[arg-type]
    resolve(TrainOptions(**{"data": "digits"} | options, out=Path("x")))  # type: ignore[arg-type]


def test_other_options_do_not_continue_a_run(straight: Path) -> None:
    error = train(straight, "--steps", "40", "--latent-dim", "50", code=1).stderr
    assert "latent_dim was 100, is 50" in error
    assert "give the options of this run to continue it, or name another folder with --out" in error


def test_a_folder_of_other_files_becomes_no_run(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"")
    error = train(tmp_path, "--steps", "1", code=1).stderr
    assert f"{tmp_path}: holds 'cat.png' and no run: name another folder with --out" in error
    assert [path.name for path in tmp_path.iterdir()] == ["cat.png"]


def test_nan_in_a_loss_stops_at_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--steps", "1000", "--learning-rate", "1e30", "--precision", "float32"]
    error = train(run, *options, code=1).stderr
    assert "NaN or infinity at step" in error
    assert "The last good checkpoint is in" in error


def test_a_weight_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    config = configured(out=tmp_path, width=4)
    state, run = states.build(config, torch.device("cpu")), Run(tmp_path)
    with run.locked():
        state.step = 10
        loop._save(state, config, run, print)
        before = digest(tmp_path)
        next(state.ema.parameters()).fill_(torch.inf)
        state.step = 20
        with pytest.raises(loop.DivergedError, match="at step 20"):
            loop._save(state, config, run, print)
    assert checkpoint.find(tmp_path, None)[0].step == 10
    assert digest(tmp_path) == before


def test_a_sheet_shows_fixed_addresses(straight: Path, tmp_path: Path) -> None:
    """The same weights give the same sheet, whenever it is drawn."""
    found = checkpoint.find(straight, None)[0]
    state = states.build(found.config, torch.device("cpu"))
    states.restore(state, found.tensors, found.step)
    sheet = loop._sample(state, found.config)
    state.step += 1000
    torch.randn(7)
    np.testing.assert_array_equal(loop._sample(state, found.config), sheet)
    with Run(tmp_path).locked():
        written = Run(tmp_path).save_sheet(sheet, 30)
    assert written.read_bytes() == (straight / "samples" / "step-00000030.png").read_bytes()


def test_other_images_do_not_continue_a_run(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "photos.npy", noise.integers(0, 256, (40, 28, 28)).astype(np.uint8))
    run = ["--out", str(tmp_path / "run"), *OPTIONS]
    drawwell("train", str(tmp_path / "a" / "photos.npy"), "--steps", "4", *run)
    error = drawwell("train", str(tmp_path / "b" / "photos.npy"), "--steps", "8", *run, code=1).stderr
    assert "it was trained on other images" in error
    (tmp_path / "a" / "photos.npy").rename(tmp_path / "moved.npy")
    assert "continuing" in drawwell("train", str(tmp_path / "moved.npy"), "--steps", "8", *run).stderr


def test_a_last_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    run = Run(tmp_path)
    lines = "".join(json.dumps({"step": step}) + "\n" for step in (5, 10, 15))
    (tmp_path / "stats.jsonl").write_text(lines + '{"step": 1')
    run.truncate_stats(10)
    assert (tmp_path / "stats.jsonl").read_text() == '{"step": 5}\n{"step": 10}\n'


@pytest.mark.parametrize("out", ["file", "file/below", "x" * 300])
def test_a_run_folder_that_cannot_be_is_a_sentence(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in train(tmp_path / out, "--steps", "1", code=1).stderr


@pytest.mark.parametrize(
    "options", [["--threads", "-2"], ["--seed", "-1"], ["--batch-size", "1"], ["--beta1", "1"], ["--size", "50"]]
)
def test_options_that_make_no_sense_end_with_2(tmp_path: Path, options: list[str]) -> None:
    train(tmp_path / "run", *options, code=2)


def test_a_large_seed_trains(tmp_path: Path) -> None:
    train(tmp_path / "run", "--steps", "1", "--seed", str(2**63 - 1))


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    said = train(tmp_path / "run", "--dry-run").stderr
    assert "5,000 images of 28x28x1" in said
    assert "80.0 epochs" in said
    assert not (tmp_path / "run").exists()


def test_cuda_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert "torch finds no CUDA device here" in train(tmp_path / "run", "--device", "cuda", code=1).stderr


def test_a_folder_of_pictures_trains_in_colour(tmp_path: Path) -> None:
    noise, photos = np.random.default_rng(0), tmp_path / "photos"
    photos.mkdir()
    for number in range(20):
        Image.fromarray(noise.integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(photos / f"{number}.png")
    run = tmp_path / "run"
    drawwell("train", str(photos), "--out", str(run), "--size", "32", "--steps", "4", *OPTIONS)
    drawwell("export", str(run))
    drawwell("generate", str(run / "generator.onnx"), "--count", "2", "--out", str(tmp_path / "x.npy"))
    assert np.load(tmp_path / "x.npy").shape == (2, 32, 32, 3)


def test_damaged_lines_of_stats_are_dropped_and_counted(tmp_path: Path) -> None:
    """Lost power may leave anything in a file that is only appended to; the checkpoints are whole all the same."""
    (tmp_path / "stats.jsonl").write_bytes(
        b'{"step": 5}\n\0\0\0\n[1]\n{"loss": 1}\nx\n{"step": 10}\n{"step": 15}\n{"st'
    )
    run = Run(tmp_path)
    assert run.truncate_stats(10) == 4
    assert run.stats() == [{"step": 5}, {"step": 10}]
    assert run.truncate_stats(10) == 0
