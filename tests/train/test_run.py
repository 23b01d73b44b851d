"""Whole runs: exact resume after kill -9, one trainer a folder, NaN, signals, refusals."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from drawwell_train import checkpoint
from drawwell_train import state as states
from tests.conftest import drawwell

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
]


def train(out: Path, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return drawwell("train", "digits", "--out", str(out), *OPTIONS, *options, code=code)


def started(out: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "drawwell.cli", "train", "digits", "--out", str(out), *OPTIONS, *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
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
        "samples",
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
    assert set(records[0]) == {"step", "images", "images_per_second", "loss_d", "loss_g", "d_real", "d_fake"}


def test_ten_steps_a_kill_and_twenty_more_are_thirty_straight(straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = started(run, "--steps", "1000000")
    wait_for(lambda: any((run / "checkpoints").glob("step-*")) if run.exists() else False, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for path in sorted((run / "checkpoints").glob("step-*"))[1:]:  # the machine may have been quicker than the kill
        path.rename(tmp_path / path.name)
    assert checkpoint.find(run, None)[0].step == 10
    said = train(run, "--steps", "30").stderr
    assert "at step 10" in said
    assert digest(run) == digest(straight)
    assert f"weights {digest(straight)}" in said.replace("\n", " ")
    lines = [json.loads(line)["step"] for line in (run / "stats.jsonl").read_text().splitlines()]
    assert lines == [5, 10, 15, 20, 25, 30]


def test_a_stop_is_saved_and_continued_exactly(straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = started(run, "--steps", "1000000", "--save-every", "1000000", "--log-every", "1")
    wait_for(lambda: (run / "stats.jsonl").exists(), process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 1
    assert "stopped and saved at step" in said
    step = checkpoint.find(run, None)[0].step
    if step < 30:  # else the machine was quicker than the signal, and there is nothing left to compare
        train(run, "--steps", "30")
        assert digest(run) == digest(straight)


def test_a_damaged_checkpoint_is_passed_over_loudly(straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(run, "--steps", "20")
    newest = run / "checkpoints" / "step-00000020" / "tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    said = train(run, "--steps", "30").stderr
    assert "damaged checkpoint passed over" in said
    assert "at step 10" in said
    assert digest(run) == digest(straight)


def test_a_finished_run_is_left_as_it_is(straight: Path) -> None:
    before = digest(straight)
    train(straight, "--steps", "30")
    assert digest(straight) == before


def test_the_second_trainer_in_a_folder_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = started(run, "--steps", "1000000")
    wait_for(lambda: (run / "stats.jsonl").exists(), process)
    assert "another training is running in this folder" in train(run, "--steps", "1000000", code=1).stderr
    process.kill()
    process.communicate()


def test_other_options_do_not_continue_a_run(straight: Path) -> None:
    error = train(straight, "--steps", "40", "--latent-dim", "50", code=1).stderr
    assert "latent_dim was 100, is 50" in error
    assert "name another folder with --out" in error


def test_nan_stops_at_once_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    error = train(
        run, "--steps", "1000", "--learning-rate", "1e30", "--save-every", "1", "--precision", "float32", code=1
    ).stderr
    assert "NaN or infinity at step" in error
    assert "the last good checkpoint is kept" in error
    loaded, _ = checkpoint.load_latest(run / "checkpoints")
    assert loaded is None or states.all_finite(loaded.tensors)


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    said = train(tmp_path / "run", "--dry-run").stderr
    assert "5,000 images of 28x28x1" in said
    assert "80.0 epochs" in said
    assert not (tmp_path / "run").exists()


def test_cuda_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert "torch finds no CUDA device here" in train(tmp_path / "run", "--device", "cuda", code=1).stderr


def test_a_folder_of_pictures_trains_in_colour(tmp_path: Path) -> None:
    from PIL import Image

    noise = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(noise.integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(tmp_path / f"{number}.png")
    run = tmp_path / "run"
    drawwell("train", str(tmp_path), "--out", str(run), "--size", "32", "--steps", "4", *OPTIONS)
    drawwell("export", str(run))
    drawwell("generate", str(run / "generator.onnx"), "--count", "2", "--out", str(tmp_path / "x.npy"))
    assert np.load(tmp_path / "x.npy").shape == (2, 32, 32, 3)
