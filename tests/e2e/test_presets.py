"""Every preset on real digits, from the first step to a reply over HTTP."""

from contextlib import closing
from pathlib import Path
from typing import get_args

import httpx
import numpy as np
import pytest

import drawwell as library
from drawwell.formats.npy import NPY_TYPE, Npy
from drawwell_export.main import export
from drawwell_train.config import TrainConfig
from drawwell_train.main import main as train
from drawwell_train.presets import PresetName
from drawwell_train.run import checkpoint
from tests.conftest import StartServer

CONDITIONAL = {"mlp", "deep-cnn", "dcgan", "wgan-gp"}
STEPS = 6


@pytest.mark.parametrize("preset", get_args(PresetName))
def test_a_preset_trains_exports_and_serves(preset: PresetName, tmp_path: Path, start_server: StartServer) -> None:
    has_classes = preset in CONDITIONAL
    options = {"width": 16, "batch_size": 16, "threads": 1, "log_every": 3, "conditional": has_classes}
    train(TrainConfig("digits", out=tmp_path / "run", preset=preset, steps=STEPS, **options))  # type: ignore[arg-type]
    export(checkpoint.find(tmp_path / "run", None)[0], tmp_path / "digits.onnx").close()

    local = library.open(tmp_path / "digits.onnx", threads=1)
    assert local.card.training.images == STEPS * 16 * (5 if preset.startswith("wgan") else 1)
    assert local.card.class_names == (tuple("0123456789") if has_classes else ())
    labels = [3] * 5 if has_classes else None
    expected = local.generate(7, 5, labels=labels)

    server = start_server(tmp_path / "digits.onnx")
    body = {"seed": 7, "count": 5} | ({"labels": labels} if labels else {})
    reply = httpx.post(f"{server.url}/generate", json=body, headers={"Accept": NPY_TYPE}).raise_for_status()
    np.testing.assert_array_equal(Npy.decode(reply.content, (5, 28, 28, 1)), expected.images)
    with closing(library.open(server.url)) as remote:
        np.testing.assert_array_equal(remote.generate(7, 5, labels=labels).images, expected.images)
    local.close()
    server.process.terminate()
    assert server.process.wait(30) == 0
