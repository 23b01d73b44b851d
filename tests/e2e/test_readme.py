"""What the README tells a user to type works as it stands there.

Ports are changed to free ones and trainings are shortened. `make` is asked what it would do, since this very test
runs inside one of its targets; `.ci/run` runs the targets on a clean clone.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import precision_page, table
from benchmarks.quality import results, tables
from benchmarks.report import RESULTS
from benchmarks.sheet import sheet
from drawwell.files.generator_file import read_generator
from drawwell.files.quality import to_builtins
from drawwell.opening import find_file
from drawwell_train.certify import certificate
from tests.conftest import ROOT, Server, free_port, server_environment, wait_until_ready

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="module")
def environment(desk: Path) -> dict[str, str]:
    return server_environment(desk / "bentoml") | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def port(desk: Path, environment: dict[str, str]) -> Iterator[int]:
    """What `make serve` leaves running for the commands after it: the bundled generator."""
    with background(["drawwell", "serve", "--port", str(port := free_port())], desk, environment, port):
        yield port


class background:  # noqa: N801 - a context manager
    def __init__(self, command: list[str], cwd: Path, environment: dict[str, str], port: int) -> None:
        self._log = Path(environment["BENTOML_HOME"]).parent / f"log-{port}"
        with self._log.open("wb") as stream:
            self._process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=stream, stderr=stream)
        self._server = Server(f"http://127.0.0.1:{port}", self._process, self._log)

    def __enter__(self) -> None:
        wait_until_ready(self._server)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)


def test_the_readme_has_commands_for_every_stage() -> None:
    text = "\n".join(block for _, block in BLOCKS)
    for words in (
        "make serve",
        "make test",
        "drawwell train",
        "drawwell evaluate",
        "drawwell export",
        "drawwell serve",
        "curl",
        "drawwell generate",
    ):
        assert words in text


@pytest.mark.parametrize(("language", "block"), BLOCKS, ids=[block.split("\n")[0][:50] for _, block in BLOCKS])
def test_a_block_works_as_it_stands(
    language: str, block: str, desk: Path, environment: dict[str, str], port: int
) -> None:
    block = block.replace("127.0.0.1:3000", f"127.0.0.1:{port}").replace("--steps 3000", "--steps 20 --width 8")
    block = block.replace("--data digits", "--data digits --count 100 --no-classifier")
    block = block.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    if language == "python":
        run([sys.executable, "-W", "error::DeprecationWarning", "-c", block], desk, environment)
        return
    for line in block.replace("\\\n", "").splitlines():
        command = shlex.split(line, comments=True)
        if command[0] == ".":
            assert command[1:] == [f"{Path(sys.executable).parent}/activate"], "the environment that make creates"
        elif command[0] == "make":
            run([*command, "--dry-run"], ROOT, environment | {"GENERATOR": str(desk / "runs/digits/generator.onnx")})
        elif command[:2] in (["drawwell", "serve"], ["bentoml", "serve"]):
            free = free_port()
            with background(
                [*command, "--port", str(free)], ROOT if command[0] == "bentoml" else desk, environment, free
            ):
                pass
        else:
            run(command, ROOT if command[0] == "bentoml" else desk, environment)


def run(command: list[str], cwd: Path, environment: dict[str, str]) -> None:
    if command[0] == "curl":
        command = [*command, "--fail-with-body"]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    for name in {"sheet.png", "images.npy"} & set(command):
        content = (cwd / name).read_bytes()
        assert content.startswith(b"\x89PNG" if name == "sheet.png" else b"\x93NUMPY"), name


def test_the_figures_are_those_of_the_results() -> None:
    page = table.PAGE.read_text()
    (speed,) = re.findall(
        r"draws ([\d,]+) images of `fashion` a second, ([\d.]+) times .* ([\d.]+) times", README, re.DOTALL
    )
    assert f"{speed[0]} ({speed[1]}x)" in page
    assert f"({speed[2]}x)" in page
    assert table.engine_figures() in page
    assert table.serving_figures(json.loads((RESULTS / "serving-cpu.json").read_text())) in page


def test_the_tables_of_precision_are_of_the_bundled_files() -> None:
    page = precision_page.PAGE.read_text()
    assert precision_page.distances() in page
    assert precision_page.parities() in page
    for entry in json.loads(precision_page.RESULT.read_text()).values():
        assert entry["digests"].items() <= precision_page.digests().items(), (
            "measured on other files: python -m benchmarks.precision"
        )


def test_the_bundled_cards_carry_the_measures_that_are_published() -> None:
    published = results.read_all()
    for name in ("fashion-mixture", "emoji"):
        card = read_generator(find_file(name)).card
        assert card.quality is not None
        assert json.loads(json.dumps(to_builtins(card.quality))) == published[name]["quality"]


def test_the_card_of_fashion_has_the_published_measures_of_its_images() -> None:
    """The file was measured again after its export, with other real images of the same data: the scores are near."""
    card, published = read_generator(find_file("fashion")).card, results.read("fashion")
    assert card.quality is not None
    assert published is not None
    for name in ("kid", "precision", "recall", "coverage"):
        value = published["quality"]["measures"][name]["value"]
        assert card.quality.measures[name].value == pytest.approx(value, rel=0.05)


def test_the_certificate_in_the_guide_is_the_published_one_of_the_bundled_file() -> None:
    published = certificate.read(RESULTS / "certificate-fashion-mixture.json")
    assert published.in_words() in (ROOT / "docs" / "guides" / "augment.md").read_text()
    assert published.inputs.generator == read_generator(find_file("fashion-mixture")).digest


def test_the_quality_in_the_readme_is_the_published_one() -> None:
    use = results.read_all()["fashion-mixture"]["quality"]["measures"]["gan_train_fresh"]
    drawn, real = re.findall(r"name (\d+) % of the real test images.*real images (\d+) %", README, re.DOTALL)[0]
    assert (int(drawn), int(real)) == (round(100 * use["value"]), round(100 * use["real"]))


def test_the_tables_of_quality_are_those_of_the_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    published = tables.PAGE.read_text()
    (page := tmp_path / "quality.md").write_text(published)
    monkeypatch.setattr(tables, "PAGE", page)
    tables.update()
    assert page.read_text() == published, "python -m benchmarks.quality.tables"


def test_the_sheet_has_the_images_that_the_readme_says() -> None:
    with Image.open(ROOT / "docs" / "sheet.png") as picture:
        shown = np.asarray(picture).astype(int)
    assert np.abs(shown - sheet()[..., 0]).max() <= 2, "two kinds of processors may be 2 levels apart"
