"""The wheel, alone in an empty environment."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from drawwell.engine.engine import Engine
from drawwell.opening import bundled
from tests.conftest import ROOT, Server, free_port, server_environment, wait_until_ready


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


@pytest.fixture
def installed() -> Path:
    """The folder of the programs of an environment with nothing but the wheel and its extras ``cpu`` and ``serve``."""
    if "DRAWWELL_INSTALLED" not in os.environ:
        pytest.skip("`make test-wheel` installs the wheel and sets DRAWWELL_INSTALLED")
    return Path(os.environ["DRAWWELL_INSTALLED"])


def test_the_wheel_holds_nothing_but_drawwell(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].split("-")[0] for name in names} == {
        "drawwell",
        "drawwell_train",
        "drawwell_export",
        "drawwell_serve",
    }
    models = [f"drawwell/models/{name}.onnx" for name in bundled()]
    assert models
    models.append("drawwell/models/emoji-discriminator.onnx")
    for needed in (*models, "drawwell/py.typed", "drawwell_serve/http/page.html", "drawwell_serve/http/static/main.js"):
        assert needed in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any("test" in name or name.endswith("generator.onnx") for name in names)


def test_the_extras_cpu_and_serve_bring_no_torch(installed: Path) -> None:
    listed = subprocess.run([installed / "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "onnxruntime" in listed
    assert "torch" not in listed


def test_the_commands_are_there_and_draw_the_same_bytes(installed: Path, wheel: Path, tmp_path: Path) -> None:
    program = installed / "drawwell"
    subprocess.run([program, "generate", "--seed", "7", "--count", "5", "--out", "x.npy"], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(
        np.load(tmp_path / "x.npy"), Engine(ROOT / "drawwell/models/fashion.onnx").generate(7, 5).images
    )
    done = subprocess.run([program, "train", "digits"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this command needs" in done.stderr
    assert f"{wheel.name}[train]'" in done.stderr


def test_the_installed_command_serves(installed: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as stream:
        command = [str(installed / "drawwell"), "serve", "--port", str(port)]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=server_environment(tmp_path), stdout=stream, stderr=stream
        )
    try:
        wait_until_ready(Server(f"http://127.0.0.1:{port}", process, log))
    finally:
        process.terminate()
        process.wait(30)
