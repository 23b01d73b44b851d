"""A bento answers where nothing of the project is installed."""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from drawwell.engine.engine import Engine
from tests.conftest import ROOT, StartServer, server_environment


@pytest.fixture(scope="module")
def foreign_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that sees all the dependencies and not the project: an editable install acts only on its own site folder."""
    venv = tmp_path_factory.mktemp("foreign") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    folder = next(venv.glob("lib/python*/site-packages"))
    (folder / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    python = venv / "bin" / "python"
    found = subprocess.run([python, "-c", "import drawwell"], cwd="/", capture_output=True, text=True, check=False)
    assert "No module named 'drawwell'" in found.stderr
    return python


def built(command: list[str], home: Path) -> Path:
    """Run a command that builds a bento, and return the bento's folder."""
    environment = server_environment(home) | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    bento: Path = next(path for path in (home / "bentos" / "drawwell").iterdir() if path.is_dir())
    return bento


def test_the_bento_of_the_bundled_generator_gives_the_same_bytes(
    tmp_path: Path, foreign_python: Path, start_server: StartServer
) -> None:
    bento = built([sys.executable, "-m", "bentoml", "build"], tmp_path / "home")
    moved = tmp_path / "elsewhere"
    shutil.copytree(bento, moved)
    server = start_server("", cwd=tmp_path, python=str(foreign_python), what=str(moved))
    answer = httpx.post(f"{server.url}/generate", json={"seed": 7, "count": 5}, headers={"Accept": "application/x-npy"})
    engine = Engine(ROOT / "drawwell" / "models" / "fashion.onnx")
    assert answer.headers["x-drawwell-digest"] == engine.digest
    assert answer.content[-40 - 5 * 784 : -40] == engine.generate(7, 5).images.tobytes()
    assert httpx.get(server.url).is_success, "the page's template did not come along"


def test_a_users_own_generator_goes_in_with_one_command(
    tmp_path: Path, tiny_generator: Path, foreign_python: Path, start_server: StartServer
) -> None:
    make = ["make", "bento", f"GENERATOR={tiny_generator}", f"BIN={Path(sys.executable).parent}"]
    bento = built([*make, "-o", ".venv/serve"], tmp_path / "home")
    server = start_server("", cwd=tmp_path, python=str(foreign_python), what=str(bento))
    assert httpx.get(f"{server.url}/model").json()["digest"] == Engine(tiny_generator).digest


def test_a_bento_for_cpus_in_a_path_with_a_space(tmp_path: Path) -> None:
    """It asks for no CUDA libraries."""
    clone = tmp_path / "a clone"
    clone.mkdir()
    for name in ("Makefile", "README.md", "bentofile.yaml"):
        shutil.copy(ROOT / name, clone)
    for name in ("drawwell", "serve"):
        shutil.copytree(ROOT / name, clone / name)
    (clone / ".venv").symlink_to(sys.prefix)
    generator = clone / "my generator.onnx"
    shutil.copy(ROOT / "drawwell" / "models" / "fashion.onnx", generator)
    make = ["make", "-C", str(clone), "-o", ".venv/serve", "bento", "PROVIDER=cpu", f"GENERATOR={generator.name}"]
    bento = built(make, tmp_path / "home")
    asked = (bento / "env" / "python" / "requirements.txt").read_text().split()
    names = {package.partition("=")[0] for package in asked}
    assert "onnxruntime" in names and not [
        name for name in names if name.endswith("-gpu") or name.startswith("nvidia-c")
    ]
    assert (bento / "src" / "serve" / "drawwell_serve" / "generator.onnx").read_bytes() == generator.read_bytes()


def test_the_bento_asks_for_the_gpu_build_and_for_what_the_wheel_asks() -> None:
    import tomllib

    asked = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["python"]["packages"]
    assert any(package.startswith("onnxruntime-gpu[cuda,cudnn]") for package in asked)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {
        requirement.partition(";")[0] for requirement in [*project["dependencies"], *extras["serve"], *extras["gpu"]]
    }
    command_line_only = {"rich>=13.9", "tyro>=0.9.2"}
    assert set(asked) == needed - command_line_only
